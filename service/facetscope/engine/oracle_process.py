"""An oracle, as the worker sees it: a process that is asked one question, and killed if need be."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Final, final

from google.protobuf.message import DecodeError

from facetscope.domain.descriptions import ParityAbsence, ParityAbsenceReason
from facetscope.domain.events import Progress, Work
from facetscope.engine.testimony import LARGEST_BYTES, array_from, array_message
from facetscope.gen.facetscope.worker.v1 import oracle_pb2 as pb
from facetscope.models.arrays import Array

INHERITED: Final = frozenset({"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
"""The only variables of the environment that an oracle gets to see: what its libraries need."""

GLANCE_S: Final = 0.05
"""Seconds between two looks at the process."""

LONGEST_PROBLEM: Final = 500
"""Characters of what an oracle says is wrong, at most."""


@dataclass(frozen=True, slots=True)
class Testimony:
    """What the model's own runtime gives.

    Attributes:
        runtime: Its name.
        provider: What it computed with.
        batches: Arrays for each batch of the question; None for what is no tensor of numbers.
    """

    runtime: str
    provider: str
    batches: Sequence[Sequence[Array | None]]


@final
class Oracle:
    """Runs one file in its own runtime, each time in a process of its own."""

    def __init__(
        self, path: Path, file_format: str, *, cuda: bool, threads: int, limit_s: float
    ) -> None:
        """Ask about the file at ``path``; a process may take ``limit_s`` seconds."""
        self._path = path
        self._format = file_format
        self._cuda = cuda
        self._threads = threads
        self._limit_s = limit_s

    def ask(
        self,
        images: Array,
        batches: Sequence[int],
        *,
        tensors: Sequence[str] = (),
        outlines: bool = False,
    ) -> Generator[Progress, None, Testimony | ParityAbsence]:
        """Run the file; yields while it runs, and leaving it kills the process.

        Args:
            images: Network inputs.
            batches: Sizes of the batches to run, each of the first so many images.
            tensors: Names of what to give out; none for the model's outputs.
            outlines: Whether shapes and types are enough: the arrays have no memory then.

        Returns:
            What it gave, or why there is nothing.
        """
        question = pb.Question(
            path=str(self._path.absolute()),
            format=self._format,
            images=array_message(images),
            batches=batches,
            tensors=tensors,
            outlines=outlines,
            cuda=self._cuda,
            threads=self._threads,
        )
        with TemporaryFile() as asked, TemporaryFile() as answered:
            asked.write(question.SerializeToString())
            asked.seek(0)
            code = yield from self._run(asked, answered)
            answered.seek(0)
            return self._testimony(code, answered.read(LARGEST_BYTES))

    def _run(self, asked: IO[bytes], answered: IO[bytes]) -> Generator[Progress, None, int | None]:
        """Let a process answer; its exit code, or None if its time was up."""
        with (
            TemporaryDirectory(prefix="facetscope-oracle-", ignore_cleanup_errors=True) as folder,
            _started(folder, asked, answered) as process,
        ):
            deadline = time.monotonic() + self._limit_s
            try:
                while time.monotonic() < deadline:
                    try:
                        return process.wait(GLANCE_S)
                    except subprocess.TimeoutExpired:
                        yield Progress(work=Work.LOADING_MODEL)
                return None
            finally:
                process.kill()

    def _testimony(self, code: int | None, answered: bytes) -> Testimony | ParityAbsence:
        if code is None:
            problem = f"the model's own runtime did not end within {self._limit_s:g} s"
            return ParityAbsence(ParityAbsenceReason.TIMED_OUT, problem)
        if code != 0:
            end = f"by signal {-code}" if code < 0 else f"with {code}"
            return _crashed(f"the process of the model's own runtime ended {end}")
        try:
            answer = pb.Answer.FromString(answered)
            batches = [[array_from(each) for each in batch.arrays] for batch in answer.batches]
        except (DecodeError, TypeError, ValueError):
            return _crashed(
                "the process of the model's own runtime gave no answer that makes sense"
            )
        if answer.refusal:
            return ParityAbsence(ParityAbsenceReason.REFUSED, answer.refusal[:LONGEST_PROBLEM])
        return Testimony(answer.runtime, answer.provider, batches)


def awaited(
    asked: Generator[Progress, None, Testimony | ParityAbsence],
) -> Testimony | ParityAbsence:
    """What comes of a question, with nothing else to do meanwhile."""
    while True:
        try:
            next(asked)
        except StopIteration as end:
            result: Testimony | ParityAbsence = end.value
            return result


def _crashed(problem: str) -> ParityAbsence:
    return ParityAbsence(ParityAbsenceReason.CRASHED, problem)


def _started(folder: str, asked: IO[bytes], answered: IO[bytes]) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if name in INHERITED}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "facetscope.engine.oracle"],
        stdin=asked,
        stdout=answered,
        cwd=folder,
        env={**kept, "HOME": folder, "TMPDIR": folder},
    )
