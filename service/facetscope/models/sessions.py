"""Forward passes in ONNX Runtime, from tensor to tensor without a copy on the way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError, OutOfMemoryError
from facetscope.domain.units import Layer
from facetscope.models import onnx_runtime

TYPES: Final[Mapping[str, torch.dtype]] = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
    "tensor(int8)": torch.int8,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
    "tensor(bool)": torch.bool,
}
"""Element types that a layer may have."""

NUMPY: Final[Mapping[torch.dtype, type[np.generic]]] = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.float64: np.float64,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}
"""The same as ONNX Runtime takes them."""

ALLOCATION: Final = "allocate memory"
"""What ONNX Runtime says where memory is short."""


@final
class Session:
    """A model in ONNX Runtime, which holds weights of its own until it is let go.

    Attributes:
        provider: What it computes with, as ONNX Runtime says itself.
    """

    def __init__(self, model: bytes, layers: Sequence[Layer], device: torch.device) -> None:
        """Open a serialized model that gives out ``layers``, on ``device`` if that can be.

        Raises:
            ModelUnreadableError: ONNX Runtime does not run it, or its input is no image.
        """
        self._layers = tuple(layers)
        self._device = device
        self._session = onnx_runtime.session(
            model, threads=torch.get_num_threads(), cuda=device.type == "cuda"
        )
        self._type = onnx_runtime.input_type(self._session, TYPES)
        self._types = {each.name: TYPES.get(each.type) for each in self._session.get_outputs()}
        self.provider: str = self._session.get_providers()[0]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Activations of the layers for a batch of network inputs, one row for each.

        Raises:
            InputMismatchError: The model does not take such a batch.
            OutOfMemoryError: It does not fit the memory.
        """
        size, whole = onnx_runtime.in_whole_batches(self._session, len(images))
        place = self._device if self.provider == onnx_runtime.CUDA else torch.device("cpu")
        ready = images.to(place, self._type)[torch.from_numpy(whole).to(place)].contiguous()
        batches = [self._run(batch) for batch in ready.split(size)]
        joined = (torch.cat(parts)[: len(images)] for parts in zip(*batches, strict=True))
        return [each.float() if each.is_floating_point() else each for each in joined]

    def _run(self, batch: Tensor) -> list[Tensor]:
        """One run, which reads and writes the memory of tensors."""
        binding = self._session.io_binding()
        values = {layer.name: self._room(layer, batch) for layer in self._layers}
        image = self._session.get_inputs()[0].name
        self._bind(binding.bind_input, image, batch)
        for name, value in values.items():
            self._bind(binding.bind_output, name, value)
        if batch.is_cuda:
            torch.cuda.synchronize(batch.device)
        try:
            self._session.run_with_iobinding(binding)
        except RuntimeError as error:
            problem = onnx_runtime.first_line(error)
            if ALLOCATION in problem:
                raise OutOfMemoryError(batch.device.type) from error
            raise InputMismatchError(tuple(batch.shape), problem) from error
        binding.synchronize_outputs()
        return [values[layer.name] for layer in self._layers]

    def _room(self, layer: Layer, batch: Tensor) -> Tensor:
        """Memory for one layer's activations, where the provider writes them."""
        dtype = self._types[layer.name]
        if dtype is None:
            raise ModelUnreadableError(f"its layer {layer.name!r} has no type that is known here")
        return torch.empty((len(batch), *layer.shape[1:]), dtype=dtype, device=batch.device)

    def _bind(self, bind: Callable[..., None], name: str, value: Tensor) -> None:
        bind(
            name,
            value.device.type,
            value.device.index or 0,
            NUMPY[value.dtype],
            tuple(value.shape),
            value.data_ptr(),
        )
