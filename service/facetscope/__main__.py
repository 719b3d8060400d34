"""The server's command: ``python -m facetscope``. Options come before the environment."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
from pathlib import Path

from facetscope import app
from facetscope.settings import DEVICES, LOG_LEVELS, Settings


def main() -> None:
    """Read settings, and serve."""
    options = {
        name: value for name, value in vars(_parser().parse_args()).items() if value is not None
    }
    try:
        settings = dataclasses.replace(Settings.from_environment(os.environ), **options)
    except ValueError as error:
        raise SystemExit(f"facetscope: {error}") from None
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        asyncio.run(app.serve(settings))
    except (OSError, app.AddressError) as error:
        raise SystemExit(f"facetscope: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="facetscope serve",
        description="Serve Facetscope over gRPC. Each option has a variable of the environment, "
        "for example FACETSCOPE_PORT, and takes precedence over it.",
    )
    default = Settings()
    parser.add_argument("--host", help=f"address to listen on (default: {default.host})")
    parser.add_argument(
        "--port", type=int, help=f"port, 0 for a free one (default: {default.port})"
    )
    parser.add_argument(
        "--store", type=Path, help=f"folder of artifacts (default: {default.store})"
    )
    parser.add_argument("--workers", type=int, help=f"models loaded at a time ({default.workers})")
    parser.add_argument(
        "--worker-memory-bytes",
        type=int,
        help="memory that a worker may take (an equal share of nine tenths of what there is)",
    )
    parser.add_argument(
        "--decoded-bytes",
        type=int,
        help=f"memory of pictures that a worker decodes ahead ({default.decoded_bytes})",
    )
    parser.add_argument(
        "--synthesis-budget",
        type=int,
        help=f"steps x images x pixels that a job may take ({default.synthesis_budget:g})",
    )
    parser.add_argument("--device", choices=DEVICES, help="where to compute (auto)")
    parser.add_argument("--threads", type=int, help="processor threads of a worker (all cores)")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="what to log (INFO)")
    return parser


if __name__ == "__main__":
    main()
