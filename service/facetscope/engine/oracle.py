"""The main of an oracle: runs a model's file as it is, for one batch or two, and ends.

python -m facetscope.engine.oracle, with a ``Question`` as standard input and room for an ``Answer``
as standard output. It is a process of its own because a TorchScript module may loop for ever, write
files, or end the process it is in; and because the weights that it loads go with it.
"""

from __future__ import annotations

import resource
from pathlib import Path

from facetscope.domain.errors import InspectionError
from facetscope.engine import sandbox
from facetscope.engine.testimony import LARGEST_BYTES, array_from, array_message
from facetscope.gen.facetscope.worker.v1 import oracle_pb2 as pb
from facetscope.models import originals


def answer(question: pb.Question) -> pb.Answer:
    """What the runtime of the file has to say; where it refuses, why."""
    images = array_from(question.images)
    if images is None:
        return pb.Answer(refusal="there are no images to run it for")
    trial = originals.Trial(
        path=Path(question.path),
        images=images,
        batches=tuple(question.batches),
        tensors=tuple(question.tensors),
        cuda=question.cuda,
        threads=question.threads,
    )
    try:
        outcome = originals.RUNTIMES[question.format](trial)
    except InspectionError as error:
        return pb.Answer(refusal=str(error))
    except MemoryError:
        return pb.Answer(refusal="it does not fit the memory")
    batches = [
        pb.Arrays(arrays=[array_message(each, outline=question.outlines) for each in batch])
        for batch in outcome.batches
    ]
    return pb.Answer(runtime=outcome.runtime, provider=outcome.provider, batches=batches)


def main() -> None:
    """Answer the one question."""
    incoming, outgoing = sandbox.private_streams()
    _, memory_bytes = resource.getrlimit(resource.RLIMIT_DATA)  # the worker's own
    sandbox.confine(memory_bytes)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_BYTES, LARGEST_BYTES))
    with outgoing:
        outgoing.write(answer(pb.Question.FromString(incoming.read())).SerializeToString())


if __name__ == "__main__":
    main()
