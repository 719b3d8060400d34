"""One pass over an image set: what every image does to the units, and its code."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import torch
from torch import Tensor

from facetscope.algorithms.codes import by_position, codes_of, images_from, top_images
from facetscope.domain.discoveries import (
    AllImages,
    CodePooling,
    LabelledImages,
    PredictedImages,
    QuantileImages,
    Selection,
    TopImages,
)
from facetscope.domain.errors import (
    LISTED,
    ClassNotFoundError,
    ImageSetUnreadableError,
    ImagesUndecodableError,
    NonFiniteActivationError,
)
from facetscope.domain.events import Forward, Progress, Work
from facetscope.domain.units import Layer, Unit
from facetscope.engine.allocator import give_back
from facetscope.engine.forward import Passes
from facetscope.engine.unit_sums import UnitSums
from facetscope.images.loading import Batch
from facetscope.images.preprocessing import Preprocessing

BATCHES_KEPT: Final = 64
"""Batches after which freed memory is returned. What is kept of each batch lies between what was
freed of it, so the heap would grow with the images by more than their codes."""

NO_PICTURES: Final = "there is no picture in it; archives within archives are not opened"


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """An image set as the network sees it.

    Attributes:
        places: Of the images that could be decoded, among all pictures of the set.
        names: Of the same.
        labels: Of the same, empty where there is none.
        codes: Of the code layer, [image, channel].
        activations: Of each unit, [image].
        winners: Of each unit, the channel with the largest activation of its layer, [image]. Empty
            where nobody asked for it.
        peaks: Of each unit without a position, that of its largest activation, counted
            as in ``algorithms.codes``, [image]. Empty where nobody asked for it.
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
    peaks: Mapping[Unit, Tensor]
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
            case QuantileImages(quantile):
                return images_from(self.activations[unit], quantile)
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
        pooling: How its positions become codes.
        predictions: Whether to find out which channel of a unit's layer wins.
        peaks: Whether to find out where units have their largest activation.
    """

    passes: Passes
    preprocessing: Preprocessing
    units: Mapping[Unit, Layer]
    code_layer: Layer
    pooling: CodePooling = CodePooling.MEAN
    predictions: bool = False
    peaks: bool = False

    def survey(self, batches: Iterable[Batch]) -> Generator[Progress, None, Survey]:
        """Pass all images through the network once, however many units are asked for.

        Raises:
            ImageSetUnreadableError: There is no picture in the set.
            ImagesUndecodableError: No picture could be decoded.
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        yield Progress(work=Work.ENCODING_IMAGES)
        notes = _Notes([_Group(layer, units) for layer, units in self._by_layer()])
        for number, batch in enumerate(batches):
            if number % BATCHES_KEPT == 0:
                give_back()
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
        notes.codes.append(codes_of(code, self.code_layer.channel_axis, self.pooling).cpu())
        for group in notes.groups:
            group.note(activations[group.layer], predictions=self.predictions, peaks=self.peaks)

    def _by_layer(self) -> Iterator[tuple[Layer, list[Unit]]]:
        for layer in dict.fromkeys(self.units.values()):
            yield layer, [unit for unit, read_from in self.units.items() if read_from == layer]


@final
class _Group:
    """What is noted of the units of one layer: tensors for all of them at once.

    A unit costs next to nothing beside the pass, but a thousand calls of an operator do not.
    """

    def __init__(self, layer: Layer, units: Sequence[Unit]) -> None:
        """Expect activations of ``layer``."""
        self.layer = layer
        self._channels = UnitSums([unit for unit in units if unit.position is None], layer)
        self._neurons = UnitSums([unit for unit in units if unit.position is not None], layer)
        self._of_channels: list[Tensor] = []
        self._of_neurons: list[Tensor] = []
        self._peaks: list[Tensor] = []
        self._winners: list[Tensor] = []

    def note(self, activations: Tensor, *, predictions: bool, peaks: bool) -> None:
        """Take in what the layer gives for one batch."""
        values = by_position(activations, self.layer.channel_axis)
        if not values.is_floating_point():
            values = values.float()
        if self._channels.units:
            self._of_channels.append(self._channels.means(values).cpu())
            if peaks:
                self._peaks.append(self._channels.peaks(values).cpu())
        if self._neurons.units:
            self._of_neurons.append(self._neurons.at_positions(values).cpu())
        if predictions:
            self._winners.append(values.mean(dim=2).argmax(dim=1).cpu())

    def activations(self) -> Iterator[tuple[Unit, Tensor]]:
        """Of each unit, [image]."""
        yield from _rows(self._channels.units, self._of_channels)
        yield from _rows(self._neurons.units, self._of_neurons)

    def peaks(self) -> Iterator[tuple[Unit, Tensor]]:
        """Positions of the units that are channels, [image]."""
        return _rows(self._channels.units, self._peaks)

    def winners(self) -> Iterator[tuple[Unit, Tensor]]:
        """Channels, one tensor [image] for all units."""
        if self._winners:
            winners = torch.cat(self._winners)
            yield from ((unit, winners) for unit in (*self._channels.units, *self._neurons.units))


def _rows(units: Sequence[Unit], batches: Sequence[Tensor]) -> Iterator[tuple[Unit, Tensor]]:
    """Each unit with its row of what is [batch, unit] in every batch."""
    if not batches:
        return iter(())
    return zip(units, torch.cat(tuple(batches)).T.contiguous(), strict=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Notes:
    """A survey that is being made."""

    groups: Sequence[_Group]
    places: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)
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
            dict(each for group in self.groups for each in group.activations()),
            dict(each for group in self.groups for each in group.winners()),
            dict(each for group in self.groups for each in group.peaks()),
            undecodable,
            passes.by,
            passes.warnings,
        )


def _check_finite(layer: Layer, activations: Tensor, names: Sequence[str]) -> None:
    finite = activations.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        name = names[int(torch.nonzero(~finite)[0, 0])]
        raise NonFiniteActivationError(layer.name, f"for image {name!r}")
