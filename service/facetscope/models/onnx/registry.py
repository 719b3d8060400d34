"""The operators that have a translation, by domain, name, and the operator set they begin with.

An operator is a pure function. Its positional parameters are the ONNX inputs in their order, its
keyword-only ones the attributes under their own names; inputs that were attributes in an earlier
operator set bind either way. A parameter called ``outputs`` gets the number of outputs of the node.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from torch import Tensor

from facetscope.models.onnx.files import DEFAULT_DOMAIN

Function = TypeVar("Function", bound=Callable[..., Any])


class UnsupportedValueError(ValueError):
    """An operator is known, but not with this value of an attribute or input."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator is computed.

    Attributes:
        function: Computes the output, or a tuple of outputs.
        signature: How inputs and attributes bind to ``function``.
        since: The first operator set that it is right for.
        lists: Parameters that are given as lists of numbers, and thus fixed at translation but for
            the batch size.
        scalars: Parameters that are given as one number, likewise.
        dtypes: Attributes that are an ONNX element type and are given as a ``torch.dtype``.
        ignored: Attributes that say nothing that matters here, and are not given.
        defaults: Attributes that are tensors of one number unless the file gives them.
        reads_shape_only: The output depends on the shape of the inputs alone, not on their values.
        counts_values: The shape of the output depends on the values of the inputs.
    """

    function: Callable[..., Any]
    signature: inspect.Signature
    since: int
    lists: frozenset[str]
    scalars: frozenset[str]
    dtypes: frozenset[str]
    ignored: frozenset[str]
    defaults: Mapping[str, float]
    reads_shape_only: bool
    counts_values: bool


OPERATORS: Final[dict[str, list[Operator]]] = {}
"""Every translation, by qualified name; filled as the modules of the families are imported."""


def qualified(name: str, domain: str) -> str:
    """``name`` itself if it is one of ONNX's own operators, and otherwise with its domain."""
    return name if domain in DEFAULT_DOMAIN else f"{domain}::{name}"


RECURRENT: Final = ("GRU", "LSTM", "RNN")
RANDOM: Final = ("Bernoulli", "Multinomial", "RandomNormal", "RandomUniform")

REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(RECURRENT, "recurrent networks are not supported"),
    **dict.fromkeys(
        (*RANDOM, "RandomNormalLike", "RandomUniformLike"),
        "random numbers would make each run another function of the image",
    ),
    "NonMaxSuppression": "how many boxes it keeps depends on the pixels: export the model up to it",
    "Scan": "loops along an axis are not supported",
}
"""Why there is no translation, of operators that files of images have all the same."""


def operator(
    name: str,
    *,
    domain: str = "",
    since: int = 1,
    arity: int | None = None,
    lists: Iterable[str] = (),
    scalars: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    ignored: Iterable[str] = (),
    defaults: Mapping[str, float] = MappingProxyType({}),
    reads_shape_only: bool = False,
    counts_values: bool = False,
) -> Callable[[Function], Function]:
    """Register the decorated function, with what ``Operator`` says of each argument.

    A function of torch that cannot be asked for its signature takes ``arity`` inputs.
    """

    def register(function: Function) -> Function:
        OPERATORS.setdefault(qualified(name, domain), []).append(
            Operator(
                function,
                inspect.signature(function) if arity is None else _inputs(arity),
                since,
                frozenset(lists),
                frozenset(scalars),
                frozenset(dtypes),
                frozenset(ignored),
                defaults,
                reads_shape_only,
                counts_values,
            )
        )
        return function

    return register


def find(name: str, opset: int, domain: str = "") -> Operator | None:
    """The translation of ``name`` as operator set ``opset`` of ONNX defines it, if there is one.

    Operators of other domains have had one meaning from the first.
    """
    known_as = OPERATORS.get(qualified(name, domain), ())
    eligible = [known for known in known_as if known.since <= opset]
    return max(eligible, key=lambda known: known.since, default=None)


def _inputs(count: int) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature(
        [inspect.Parameter(f"input{index}", kind, annotation=Tensor) for index in range(count)]
    )
