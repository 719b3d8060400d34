"""Models as their files have them, run once by the runtimes that they are made for.

A TorchScript module is a program of a stranger that nothing can interrupt but the end of its
process. So only ``engine.oracle`` may import this, which runs in a process of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError
from facetscope.models.arrays import Array


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run.

    Attributes:
        path: The file; ``policy`` has let it pass.
        images: Network inputs.
        batches: Sizes of the batches, each of the first so many images.
        tensors: Names of what to give out; none for the outputs of the model in their order.
        cuda: Whether to compute on a GPU.
        threads: Processor threads to compute with.
    """

    path: Path
    images: Array
    batches: Sequence[int]
    tensors: Sequence[str] = ()
    cuda: bool = False
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the runtime, what it computed with, and the arrays for each batch."""

    runtime: str
    provider: str
    batches: Sequence[Sequence[Array | None]]


def onnx_runtime(trial: Trial) -> Outcome:
    """Run an ONNX file in ONNX Runtime.

    Raises:
        ModelUnreadableError: ONNX Runtime does not run the model.
        InputMismatchError: The model does not take such images.
    """
    if trial.cuda:
        import torch  # noqa: F401, PLC0415 - loads the libraries of CUDA for both
    from facetscope.models import onnx_runtime as runtime  # noqa: PLC0415 - the other needs none

    model = runtime.with_outputs(trial.path.read_bytes(), trial.tensors)
    session = runtime.session(model, threads=trial.threads, cuda=trial.cuda)
    batches = [runtime.run(session, trial.images[:size], trial.tensors) for size in trial.batches]
    return Outcome("ONNX Runtime", session.get_providers()[0], batches)


def torchscript(trial: Trial) -> Outcome:
    """Run a TorchScript module, in inference mode and on the CPU: traces hold on to their device.

    Raises:
        ModelUnreadableError: torch does not load the archive.
        InputMismatchError: The module fails for such images.
    """
    import torch  # noqa: PLC0415 - ONNX files need none
    from torch.utils._pytree import tree_leaves  # noqa: PLC0415

    torch.set_num_threads(trial.threads)
    try:
        module = torch.jit.load(trial.path, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ModelUnreadableError(f"torch refuses it: {_problem(error)}") from error
    weights = [each.dtype for each in module.parameters() if each.is_floating_point()]
    images = torch.tensor(trial.images).to(next(iter(weights), torch.float32))

    def arrays(size: int) -> list[Array]:
        try:
            results = module(images[:size])
        except (RuntimeError, torch.jit.Error) as error:
            raise InputMismatchError(tuple(images[:size].shape), _problem(error)) from error
        return [_array(leaf) for leaf in tree_leaves(results) if isinstance(leaf, torch.Tensor)]

    def _array(tensor: torch.Tensor) -> Array:
        known: Array = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
        return known

    with torch.inference_mode():
        return Outcome("TorchScript", "cpu", [arrays(size) for size in trial.batches])


def exported_program(_: Trial) -> Outcome:
    """Refuse to run an exported program.

    Raises:
        ModelUnreadableError: Always.
    """
    problem = "it is not run, for torch.export.load unpickles and evaluates what is in a file"
    raise ModelUnreadableError(problem)


def _problem(error: Exception) -> str:
    """The last line: TorchScript's own stack comes first."""
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)


RUNTIMES: Final[Mapping[str, Callable[[Trial], Outcome]]] = {
    "ONNX": onnx_runtime,
    "TorchScript": torchscript,
    "torch.export": exported_program,
}
"""How files are run, by their format."""
