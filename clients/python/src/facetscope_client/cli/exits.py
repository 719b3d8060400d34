"""How the command line ends: one sentence about what went wrong, and a code for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import typer
from rich.console import Console
from rich.text import Text

from facetscope_client.errors import FacetscopeError, InvalidRequestError, UnavailableError
from facetscope_client.image_sets import NoPicturesError
from facetscope_client.recording import RecordingError


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    OTHER = 1
    USAGE = 2
    REQUEST = 3
    UNAVAILABLE = 4
    INTERRUPTED = 5
    DIFFERENT = 6


MEANING_OF: Final[Mapping[Exit, str]] = {
    Exit.OK: "done",
    Exit.OTHER: "any other failure",
    Exit.USAGE: "wrong options, or a file that cannot be read or written",
    Exit.REQUEST: "the server refuses the request, the images or the model",
    Exit.UNAVAILABLE: "the server is unavailable",
    Exit.INTERRUPTED: "interrupted",
    Exit.DIFFERENT: "a replay has other results than the run before",
}
"""What each exit code means, for ``--help``."""


@contextmanager
def failures_told(console: Console) -> Iterator[None]:
    """End the program with a sentence and an exit code where the block fails in a known way."""
    try:
        yield
    except KeyboardInterrupt:
        raise _told(console, "interrupted; the call is cancelled", Exit.INTERRUPTED) from None
    except FacetscopeError as error:
        sentence = f"{error.message} [{error.reason}]" if error.reason else error.message
        raise _told(console, sentence, _exit_of(error)) from None
    except BrokenPipeError:
        raise typer.Exit(Exit.OTHER) from None
    except (OSError, NoPicturesError, RecordingError) as error:
        raise _told(console, str(error), Exit.USAGE) from None


def _exit_of(error: FacetscopeError) -> Exit:
    match error:
        case InvalidRequestError():
            return Exit.REQUEST
        case UnavailableError():
            return Exit.UNAVAILABLE
        case _:
            return Exit.OTHER


def _told(console: Console, sentence: str, code: Exit) -> typer.Exit:
    console.print(Text.assemble(("facetscope: ", "bold red"), sentence), soft_wrap=True)
    return typer.Exit(code)
