"""What all commands share: the server, the time, and where to write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import typer
from rich.console import Console

from facetscope_client.artifacts import UploadProgress
from facetscope_client.cli.exits import MEANING_OF
from facetscope_client.client import Client
from facetscope_client.connection import Connection

EXIT_CODES: Final = "**Exit codes:** " + "; ".join(
    f"`{code.value}` {meaning}" for code, meaning in MEANING_OF.items()
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the server is, how long a call may take, and where to write."""

    connection: Connection
    timeout_s: float | None
    output: Console
    messages: Console

    def client(self, on_upload: Callable[[UploadProgress], None] | None = None) -> Client:
        """A client of the server."""
        to = self.connection
        return Client(
            to.target, tls=to.tls, token=to.token, timeout_s=self.timeout_s, on_upload=on_upload
        )


def console(*, stderr: bool = False) -> Console:
    """A console that prints names as they are, whatever brackets and colons they have."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(content: dict[str, Any]) -> None:
    """Print ``content`` on one line, at once."""
    typer.echo(json.dumps(content, ensure_ascii=False))
