"""What an operator may set, by variables of the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

DEVICES: Final = ("auto", "cpu", "cuda")
LEAST: Final = {
    "port": 0,
    "workers": 1,
    "queued": 0,
    "worker_memory_bytes": 0,
    "threads": 0,
    "synthesis_budget": 1,
}
LEAST_DECODED: Final = 2**24
LEAST_MEMORY: Final = 2**30
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs. Each field is read from ``FACETSCOPE_`` and its name in capitals.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        store: Folder of the artifacts.
        largest_artifact_bytes: Size that an upload may have.
        workers: Models loaded at a time, each in its own process.
        queued: Jobs that may wait for a worker.
        worker_memory_bytes: Main memory that a worker may take; 0 for an equal share of nine tenths
            of what there is.
        decoded_bytes: Main memory that a worker may take for pictures ahead of the network: files,
            pictures that are being decoded, and pixels that wait.
        synthesis_budget: Steps x images x pixels that a job may take together.
        device: Where workers compute: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a GPU.
        threads: Processor threads of each worker; 0 for one for each core.
        parity_s: Time that a model's own runtime may take for a comparison, in seconds.
        grace_s: Time for calls to end when the server stops, in seconds.
        reflection: Whether clients may ask for the contract.
        log_level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    store: Path = field(default_factory=lambda: Path.home() / ".cache" / "facetscope" / "artifacts")
    largest_artifact_bytes: int = 8 * 2**30
    workers: int = 2
    queued: int = 64
    worker_memory_bytes: int = 0
    decoded_bytes: int = 256 * 2**20
    synthesis_budget: int = 10**12
    device: str = "auto"
    threads: int = 0
    parity_s: float = 60.0
    grace_s: float = 5.0
    reflection: bool = True
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        """Refuse what no server can run with.

        Raises:
            ValueError: A setting is out of its range.
        """
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, and must be at least {least}")
        if 0 < self.worker_memory_bytes < LEAST_MEMORY:
            short = f"and torch alone takes more than {LEAST_MEMORY}: give 0, or more"
            raise ValueError(f"worker_memory_bytes is {self.worker_memory_bytes}, {short}")
        if self.decoded_bytes < LEAST_DECODED:
            raise ValueError(
                f"decoded_bytes is {self.decoded_bytes}, and must be at least {LEAST_DECODED}"
            )
        if self.device not in DEVICES:
            raise ValueError(f"device is {self.device!r}, and must be one of {', '.join(DEVICES)}")
        if self.log_level not in LOG_LEVELS:
            levels = ", ".join(LOG_LEVELS)
            raise ValueError(f"log_level is {self.log_level!r}, and must be one of {levels}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from variables; what is not there keeps its default.

        Raises:
            ValueError: A variable cannot be read as what its setting is.
        """
        found: dict[str, Any] = {}
        for setting in fields(cls):
            variable = f"FACETSCOPE_{setting.name.upper()}"
            if variable in environment:
                found[setting.name] = _read(variable, environment[variable], str(setting.type))
        return cls(**found)


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "bool": lambda text: {"0": False, "false": False, "1": True, "true": True}[text.lower()],
    "float": float,
    "int": int,
    "Path": Path,
    "str": str,
}


def _read(variable: str, text: str, kind: str) -> object:
    try:
        return _READERS[kind](text)
    except (KeyError, ValueError):
        raise ValueError(f"{variable}={text!r} is not a {kind}") from None
