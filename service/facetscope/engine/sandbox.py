"""What a worker, or an oracle, gives up before it opens a model.

Whoever started it has already given it an empty folder, a bare environment and no descriptors but
its standard streams.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
"""How soon the process is killed when the system is short of memory, up to 1000."""


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, which nothing else in this process gets to use from now on.

    What libraries or a model print goes to the standard error instead.
    """
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    incoming = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return incoming, outgoing


def confine(memory_bytes: int) -> None:
    """Give up core dumps, new privileges, outliving the parent, and memory beyond a limit.

    The limit is on what the process may write to and does not share (``RLIMIT_DATA``). All address
    space (``RLIMIT_AS``) would count the files of torch, and what CUDA reserves and never uses.
    What comes up against it fails as an error; the system, short of memory, would kill whom it
    likes, and is told to begin here.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        with suppress(OSError):
            OOM_SCORE.write_text("1000")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
