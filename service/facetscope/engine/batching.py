"""How many images ascend together: as many as memory has room for, predicted and then tried."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from facetscope.engine import memory
from facetscope.engine.allocator import give_back

SPARE: Final = 0.6
"""Part of the free memory that a batch may be predicted to take."""

BESIDES: Final = 0.5
"""What the way back takes beside what the way forward keeps for it, as a part of that."""

COPIES: Final = 24
"""Copies of an image that the steps of an ascent hold: canvases, crops, dual fields."""

STATUS: Final = Path("/proc/self/status")


def footprint(score: Callable[[Tensor], Tensor], image: Tensor) -> int:
    """Bytes that a step takes for each image.

    What a network keeps for its way back is counted for one image and for two: the difference is
    the second image's, weights and all that images share left out.

    Args:
        score: From a batch of pictures to one number for each.
        image: One picture, [channel, height, width].
    """
    one, two = (_kept(score, torch.stack([image] * count)) for count in (1, 2))
    return round((two - one) * (1 + BESIDES)) + COPIES * image.numel() * image.element_size()


def batch_size(wanted: int, *, largest: int, each: int, free: int) -> int:
    """How many of ``wanted`` images ascend together.

    A number that memory has decided on is a power of two, so that the same job is split alike
    although a little more or less is free.

    Args:
        wanted: How many there are.
        largest: How many may.
        each: Bytes for each.
        free: Bytes that there are.
    """
    size = min(wanted, largest)
    room = max(1, int(free * SPARE) // max(1, each))
    return size if size <= room else 1 << (room.bit_length() - 1)


def free_bytes(device: torch.device) -> int:
    """Memory that this process can still take on ``device``."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY or not STATUS.exists():
        return int(memory.total() * memory.PART) // 2
    return max(0, limit - _taken())


def release(device: torch.device) -> None:
    """Give freed memory back, so that a smaller batch finds room."""
    give_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _taken() -> int:
    """Bytes that count against the limit of this process."""
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    kibibytes, _ = fields["VmData"].split()
    return int(kibibytes) * 1024


def _kept(score: Callable[[Tensor], Tensor], images: Tensor) -> int:
    """Bytes of all that a way back needs, each tensor counted once."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        score(images.detach().requires_grad_())
    return sum(storages.values())
