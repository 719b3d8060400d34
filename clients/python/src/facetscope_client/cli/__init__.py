"""The command line, ``facetscope``."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

NEEDED: Final = ("grpc_health", "PIL", "rich", "typer")
"""What the extra ``cli`` brings."""


def main() -> None:
    """Run the command line, or say what it lacks."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"facetscope: the command line also needs {', '.join(missing)}; "
            "install it with: pip install 'facetscope-client[cli]'"
        )
    from facetscope_client.cli.app import app  # noqa: PLC0415 - imports what may be missing

    app()
