"""The shapes that every algorithm speaks of, named once."""

from jaxtyping import Float, Num
from torch import Tensor

Images = Float[Tensor, "batch channel height width"]
"""Images, one per batch index, in the value range that the algorithm states."""

Canvas = Float[Tensor, "batch channel rows columns"]
"""Images of another size than those of the same call, such as what they are crops of."""

Scores = Float[Tensor, " batch"]
"""One number for each image."""

Activations = Num[Tensor, "batch *axes"]
"""What a layer gives for each image; one of the axes counts its channels."""

Maps = Float[Tensor, "batch height width"]
"""One number for each pixel of each image."""

CanvasMaps = Float[Tensor, "batch rows columns"]
"""One number for each pixel of each canvas."""

Planes = Float[Tensor, "plane height width"]
"""Channels of images, each on its own."""
