"""One pass over an image set: what every image does to the units, and its code."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.codes import codes_of, top_images
from facetscope.algorithms.objectives import unit_activation
from facetscope.domain.errors import (
    LISTED,
    ClassNotFoundError,
    ImageSetUnreadableError,
    ImagesUndecodableError,
    NonFiniteActivationError,
)
from facetscope.domain.events import Forward, Progress, Work
from facetscope.domain.jobs import (
    AllImages,
    LabelledImages,
    PredictedImages,
    Selection,
    TopImages,
)
from facetscope.domain.units import Layer, Unit
from facetscope.engine.forward import Passes
from facetscope.images.loading import Batch
from facetscope.images.preprocessing import Preprocessing

NO_PICTURES: Final = "there is no picture in it; archives within archives are not opened"


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """An image set as the network sees it.

    Attributes:
        places: Of the images that could be decoded, among all pictures of the set.
        names: Of the same.
        labels: Of the same, empty where there is none.
        codes: Activations of the code layer, [image, channel].
        activations: Of each unit, [image].
        winners: Of each unit, the channel with the largest activation of its layer, [image]. Empty
            where nobody asked for it.
        undecodable: Names of the pictures that could not be decoded.
        forward: What computed codes and activations.
        warnings: What an operator should know of that, each a sentence.
    """

    places: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    codes: Tensor
    activations: Mapping[Unit, Tensor]
    winners: Mapping[Unit, Tensor]
    undecodable: tuple[str, ...]
    forward: Forward
    warnings: tuple[str, ...]

    def select(self, unit: Unit, selection: Selection) -> Tensor:
        """Indices of the images that are the unit's own.

        Raises:
            ClassNotFoundError: No image has the label.
        """
        match selection:
            case AllImages():
                return torch.arange(len(self.names))
            case TopImages(count):
                return top_images(self.activations[unit], count)
            case PredictedImages():
                return torch.nonzero(self.winners[unit] == unit.channel)[:, 0]
            case LabelledImages(label):
                if label not in self.labels:
                    raise ClassNotFoundError(label, tuple(sorted({*self.labels} - {""})))
                return torch.tensor([i for i, each in enumerate(self.labels) if each == label])


@dataclass(frozen=True, slots=True, eq=False)
class Surveyor:
    """What to find out about images, and by which passes through the network.

    Attributes:
        passes: Give every layer that is asked for.
        preprocessing: How pixels become the network's input.
        units: Each with the layer that it is read from.
        code_layer: The layer whose activations are the codes.
        predictions: Whether to find out which channel of a unit's layer wins.
    """

    passes: Passes
    preprocessing: Preprocessing
    units: Mapping[Unit, Layer]
    code_layer: Layer
    predictions: bool

    def survey(self, batches: Iterable[Batch]) -> Generator[Progress, None, Survey]:
        """Pass all images through the network once, however many units are asked for.

        Raises:
            ImageSetUnreadableError: There is no picture in the set.
            ImagesUndecodableError: No picture could be decoded.
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        yield Progress(work=Work.ENCODING_IMAGES)
        notes = _Notes()
        for batch in batches:
            notes.undecodable.extend(batch.undecodable)
            if batch.names:
                with torch.inference_mode():
                    pixels = batch.pixels.to(self.preprocessing.scale.device).float()
                    values = self.passes.read(self.preprocessing(pixels))
                self._note(notes, batch, dict(zip(self.passes.layers, values, strict=True)))
            done = len(notes.names) + len(notes.undecodable)
            yield Progress(work=Work.ENCODING_IMAGES, done=done)
        return notes.survey(self.passes)

    def _note(self, notes: "_Notes", batch: Batch, activations: Mapping[Layer, Tensor]) -> None:
        for layer, values in activations.items():
            _check_finite(layer, values, batch.names)
        notes.places.extend(batch.places)
        notes.names.extend(batch.names)
        notes.labels.extend(batch.labels)
        code = activations[self.code_layer]
        notes.codes.append(codes_of(code, self.code_layer.channel_axis).cpu())
        for unit, layer in self.units.items():
            values = unit_activation(
                activations[layer], unit.channel, layer.channel_axis, unit.position
            )
            notes.activations.setdefault(unit, []).append(values.cpu())
            if self.predictions:
                winners = codes_of(activations[layer], layer.channel_axis).argmax(dim=1)
                notes.winners.setdefault(unit, []).append(winners.cpu())


@dataclass(frozen=True, slots=True, eq=False)
class _Notes:
    """A survey that is being made."""

    places: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)
    activations: dict[Unit, list[Tensor]] = field(default_factory=dict)
    winners: dict[Unit, list[Tensor]] = field(default_factory=dict)
    undecodable: list[str] = field(default_factory=list)

    def survey(self, passes: Passes) -> Survey:
        undecodable = tuple(self.undecodable)
        if not self.names and not undecodable:
            raise ImageSetUnreadableError("the image set", NO_PICTURES)
        if not self.names:
            raise ImagesUndecodableError(len(undecodable), len(undecodable), undecodable[:LISTED])
        return Survey(
            tuple(self.places),
            tuple(self.names),
            tuple(self.labels),
            torch.cat(self.codes),
            {unit: torch.cat(parts) for unit, parts in self.activations.items()},
            {unit: torch.cat(parts) for unit, parts in self.winners.items()},
            undecodable,
            passes.by,
            passes.warnings,
        )


def _check_finite(layer: Layer, activations: Tensor, names: Sequence[str]) -> None:
    finite = activations.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        name = names[int(torch.nonzero(~finite)[0, 0])]
        raise NonFiniteActivationError(layer.name, f"for image {name!r}")
