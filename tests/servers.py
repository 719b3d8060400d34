"""A server in a process of its own, as users run it."""

import socket
import subprocess
import sys
from contextlib import contextmanager

import psutil


@contextmanager
def serving(folder, *options):
    """Serve on the CPU with one thread, and artifacts in ``folder``; gives process and address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "facetscope", "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen([*command, "--store", str(folder), "--threads", "1", *options])
    try:
        yield psutil.Process(process.pid), f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
