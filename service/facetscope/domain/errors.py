"""Everything that can go wrong with an inspection, in the words of the field.

    InspectionError
    ├── InvalidRequestError           the caller can fix it by changing the request
    │   ├── InvalidFieldError
    │   ├── LayerNotFoundError
    │   ├── ChannelOutOfRangeError
    │   ├── PositionOutOfRangeError
    │   ├── ReadoutUndefinedError
    │   ├── InputMismatchError
    │   ├── ImageSetUnreadableError
    │   ├── ImagesUndecodableError
    │   ├── ClassNotFoundError
    │   ├── TooFewImagesError
    │   ├── UnitSilentError
    │   ├── ReceptiveFieldUndefinedError
    │   ├── AttributionUndefinedError
    │   ├── BudgetExceededError
    │   ├── NonFiniteActivationError
    │   ├── AscentDivergedError
    │   └── ObjectiveUnreachableError
    ├── ModelError                    the caller can fix it by sending another model
    │   ├── ModelUnreadableError
    │   ├── ModelForbiddenError
    │   ├── OperatorUnsupportedError
    │   └── GradientUnavailableError
    ├── ArtifactError                 the caller can fix it by sending bytes again
    │   ├── ArtifactMissingError
    │   ├── ArtifactNotFoundError
    │   ├── ArtifactTooLargeError
    │   ├── DigestMismatchError
    │   ├── OffsetMismatchError
    │   └── StoreFullError
    ├── NotServedError                the contract has it, this server does not yet
    └── EngineError                   the caller can only try again
        ├── EngineBusyError
        ├── WorkerLostError
        └── OutOfMemoryError

Nothing here knows gRPC: ``facetscope.rpc.status`` maps these types to status codes, in one table.
Errors cross the worker's pipe as frames, like every other value of the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

KILLED = -9
"""Exit code of a process that the system or the server's operator has killed."""

LISTED = 12
"""How many of the names that exist a message lists, at most: details must stay under 4 KiB."""


@dataclass(eq=False)
class InspectionError(Exception):
    """Base of all errors that this service raises on purpose."""

    reason: ClassVar[str] = "INSPECTION_FAILED"

    @property
    def metadata(self) -> Mapping[str, str]:
        """The values that make up the message, for clients that act on them."""
        return {field.name: _text(getattr(self, field.name)) for field in fields(self)}


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _some(names: tuple[str, ...]) -> str:
    """``names`` for a sentence: the first few, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


class InvalidRequestError(InspectionError):
    """The request cannot be met as it stands; the caller can fix it."""


@dataclass(eq=False)
class InvalidFieldError(InvalidRequestError):
    """One field of the request has a value that it may not have."""

    reason: ClassVar[str] = "INVALID_FIELD"
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@dataclass(eq=False)
class LayerNotFoundError(InvalidRequestError):
    """The model has no layer of the requested name."""

    reason: ClassVar[str] = "LAYER_NOT_FOUND"
    layer: str
    nearest: tuple[str, ...]
    layers: int

    def __str__(self) -> str:
        return (
            f"the model has no layer {self.layer!r}; the nearest of its {self.layers} layers are "
            f"{_some(self.nearest)}; DescribeModel lists all"
        )


@dataclass(eq=False)
class ChannelOutOfRangeError(InvalidRequestError):
    """The layer exists but has fewer channels than the request asks for."""

    reason: ClassVar[str] = "CHANNEL_OUT_OF_RANGE"
    layer: str
    channel: int
    channels: int

    def __str__(self) -> str:
        return f"layer {self.layer!r} has channels 0 to {self.channels - 1}, not {self.channel}"


@dataclass(eq=False)
class PositionOutOfRangeError(InvalidRequestError):
    """The layer's activation has no such position."""

    reason: ClassVar[str] = "POSITION_OUT_OF_RANGE"
    layer: str
    position: tuple[int, ...]
    extent: tuple[int, ...]

    def __str__(self) -> str:
        if not self.extent:
            return f"layer {self.layer!r} has one value for each channel: leave the position out"
        return (
            f"layer {self.layer!r} has positions below {self.extent} along its "
            f"{len(self.extent)} axes, and {self.position} is not one of them"
        )


@dataclass(eq=False)
class ReadoutUndefinedError(InvalidRequestError):
    """A probability was asked of a layer that has no classes, or of a direction."""

    reason: ClassVar[str] = "READOUT_UNDEFINED"
    layer: str
    shape: tuple[int, ...]
    direction: str = ""

    def __str__(self) -> str:
        if self.direction:
            return (
                f"unit {self.direction} is a direction of its layer, and a probability is that of "
                "one channel: read the direction's activation instead"
            )
        return (
            f"layer {self.layer!r} has activations of shape {list(self.shape)}; a probability is "
            "read from a layer of shape [batch, classes]: read this one's activation instead"
        )


@dataclass(eq=False)
class InputMismatchError(InvalidRequestError):
    """The model refuses images of the requested shape."""

    reason: ClassVar[str] = "INPUT_MISMATCH"
    asked: tuple[int, ...]
    problem: str

    def __str__(self) -> str:
        return (
            f"the model does not take images of shape {list(self.asked)}: {self.problem}; "
            "set the input's size, channels and layout to what the model was made for"
        )


@dataclass(eq=False)
class ImageSetUnreadableError(InvalidRequestError):
    """An image set is not an archive of images."""

    reason: ClassVar[str] = "IMAGE_SET_UNREADABLE"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source} is not a readable tar or zip of images: {self.problem}"


@dataclass(eq=False)
class ImagesUndecodableError(InvalidRequestError):
    """No image of the set, or too many of them, could be decoded."""

    reason: ClassVar[str] = "IMAGES_UNDECODABLE"
    undecodable: int
    total: int
    examples: tuple[str, ...]
    limit: float = 1.0

    def __str__(self) -> str:
        allowed = f" (undecodable_limit is {self.limit:g})" if self.limit < 1 else ""
        return (
            f"{self.undecodable} of {self.total} images could not be decoded{allowed}, among them "
            f"{_some(self.examples)}; send PNG, JPEG, WebP, BMP or GIF files, or .npy arrays where "
            "the model takes neither 1 nor 3 channels"
        )


@dataclass(eq=False)
class ClassNotFoundError(InvalidRequestError):
    """The image set has no image of the requested class."""

    reason: ClassVar[str] = "CLASS_NOT_FOUND"
    label: str
    labels: tuple[str, ...]

    def __str__(self) -> str:
        if not self.labels:
            return (
                f"no image of the set has the label {self.label!r}, or any label at all: put the "
                "images in folders named after their classes, or select them by activation"
            )
        return f"no image has the label {self.label!r}; the set has {_some(self.labels)}"


@dataclass(eq=False)
class TooFewImagesError(InvalidRequestError):
    """There are fewer images than facets were asked for."""

    reason: ClassVar[str] = "TOO_FEW_IMAGES"
    images: int
    needed: int
    purpose: str

    def __str__(self) -> str:
        return (
            f"{self.purpose} needs at least {self.needed} images, and {self.images} are left after "
            "selection and decoding: send more images, select others, or ask for fewer facets"
        )


@dataclass(eq=False)
class UnitSilentError(InvalidRequestError):
    """The unit tells no image from another."""

    reason: ClassVar[str] = "UNIT_SILENT"
    unit: str
    activation: float
    images: int

    def __str__(self) -> str:
        return (
            f"unit {self.unit} has the activation {self.activation:g} for all {self.images} "
            "images, so nothing in them excites it: send others, or inspect another unit"
        )


@dataclass(eq=False)
class ReceptiveFieldUndefinedError(InvalidRequestError):
    """Crops were asked of a layer whose elements see no window of the picture."""

    reason: ClassVar[str] = "RECEPTIVE_FIELD_UNDEFINED"
    layer: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"no window of the picture is known for the elements of layer {self.layer!r}, of "
            f"shape {list(self.shape)}: they have no position, look everywhere, or follow an "
            "operator without a rule; view WHOLE_IMAGE, or take a layer for which DescribeModel "
            "gives a receptive field"
        )


@dataclass(eq=False)
class AttributionUndefinedError(InvalidRequestError):
    """The code layer has no part in the unit's activation that a gradient could tell."""

    reason: ClassVar[str] = "ATTRIBUTION_UNDEFINED"
    layer: str
    code_layer: str
    problem: str

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r} has no gradient with respect to the code layer "
            f"{self.code_layer!r}: {self.problem}; name a code layer before the unit's own, or "
            "take the code weighting NONE"
        )


@dataclass(eq=False)
class BudgetExceededError(InvalidRequestError):
    """The images that are asked for cost more than this server spends on a job."""

    reason: ClassVar[str] = "BUDGET_EXCEEDED"
    cost: int
    budget: int

    def __str__(self) -> str:
        return (
            f"steps x images x pixels is {self.cost:.3g}, more than the {self.budget:.3g} that "
            "this server spends on a job: ask for fewer images, units or steps, or smaller pictures"
        )


@dataclass(eq=False)
class NonFiniteActivationError(InvalidRequestError):
    """The model gave NaN or infinity."""

    reason: ClassVar[str] = "NON_FINITE_ACTIVATION"
    layer: str
    where: str

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r} gave NaN or infinity {self.where}: check the input's value "
            "range, mean and std, and whether the model itself is sound"
        )


@dataclass(eq=False)
class AscentDivergedError(InvalidRequestError):
    """A picture ran into black and white, where there is nothing left to climb by."""

    reason: ClassVar[str] = "ASCENT_DIVERGED"
    unit: str
    image: int
    step: int
    learning_rate: float

    def __str__(self) -> str:
        return (
            f"image {self.image} of unit {self.unit} is black or white nearly everywhere after "
            f"{self.step} steps: a learning rate of {self.learning_rate:g} is too large here; ask "
            "for a tenth of it"
        )


@dataclass(eq=False)
class ObjectiveUnreachableError(InvalidRequestError):
    """No change of a picture changes what is maximized, as far as gradients tell."""

    reason: ClassVar[str] = "OBJECTIVE_UNREACHABLE"
    unit: str
    image: int
    steps: int

    def __str__(self) -> str:
        return (
            f"image {self.image} of unit {self.unit} has a gradient of zero in each of the first "
            f"{self.steps} steps, even where silent rectifiers let it through: start from other "
            "pictures or from noise; if that changes nothing, the unit is constant, and another "
            "one has to be inspected"
        )


class ModelError(InspectionError):
    """The model cannot be inspected; another file may be."""


@dataclass(eq=False)
class ModelUnreadableError(ModelError):
    """The bytes are not a model of a known format, or are damaged."""

    reason: ClassVar[str] = "MODEL_UNREADABLE"
    problem: str

    def __str__(self) -> str:
        return f"the model cannot be read: {self.problem}"


@dataclass(eq=False)
class ModelForbiddenError(ModelError):
    """The file holds something that a model may not hold here."""

    reason: ClassVar[str] = "MODEL_FORBIDDEN"
    what: str
    where: str

    def __str__(self) -> str:
        return f"the model is refused: {self.what} in {self.where}"


@dataclass(eq=False)
class OperatorUnsupportedError(ModelError):
    """A node of the model has no translation."""

    reason: ClassVar[str] = "OPERATOR_UNSUPPORTED"
    node: str
    operator: str
    problem: str

    def __str__(self) -> str:
        return f"node {self.node!r}, operator {self.operator}: {self.problem}"


@dataclass(eq=False)
class GradientUnavailableError(ModelError):
    """The unit does not depend on the image in a differentiable way."""

    reason: ClassVar[str] = "GRADIENT_UNAVAILABLE"
    layer: str
    node: str
    operator: str
    problem: str

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r} has no gradient with respect to the image: node {self.node!r}, "
            f"operator {self.operator}: {self.problem}; facets can be discovered all the same"
        )


class ArtifactError(InspectionError):
    """Bytes that the request refers to are not here, or not what they should be."""


@dataclass(eq=False)
class ArtifactMissingError(ArtifactError):
    """The store has no artifact of these digests."""

    reason: ClassVar[str] = "ARTIFACT_MISSING"
    digests: tuple[str, ...]

    def __str__(self) -> str:
        return f"artifacts missing from the store: {len(self.digests)}; upload them, and call again"


@dataclass(eq=False)
class ArtifactNotFoundError(ArtifactError):
    """A client asked to read an artifact that is not there."""

    reason: ClassVar[str] = "ARTIFACT_NOT_FOUND"
    digest: str

    def __str__(self) -> str:
        return f"the store has no artifact {self.digest}"


@dataclass(eq=False)
class ArtifactTooLargeError(ArtifactError):
    """The upload exceeds what the server takes."""

    reason: ClassVar[str] = "ARTIFACT_TOO_LARGE"
    limit_bytes: int

    def __str__(self) -> str:
        return f"artifacts may have up to {self.limit_bytes} bytes on this server"


@dataclass(eq=False)
class DigestMismatchError(ArtifactError):
    """What arrived is not what was announced."""

    reason: ClassVar[str] = "DIGEST_MISMATCH"
    announced: str
    received: str
    size_bytes: int

    def __str__(self) -> str:
        return (
            f"the {self.size_bytes} bytes received have the SHA-256 {self.received}, not "
            f"{self.announced}: send the file again"
        )


@dataclass(eq=False)
class OffsetMismatchError(ArtifactError):
    """A chunk does not begin where the one before it ended."""

    reason: ClassVar[str] = "OFFSET_MISMATCH"
    offset: int
    expected: int

    def __str__(self) -> str:
        return f"the chunk begins at byte {self.offset}, and the next byte due is {self.expected}"


class StoreFullError(ArtifactError):
    """There is no room for another artifact."""

    reason: ClassVar[str] = "STORE_FULL"

    def __str__(self) -> str:
        return "the server's store is full: its operator has to make room"


@dataclass(eq=False)
class NotServedError(InspectionError):
    """The contract has it, and this server does not do it yet."""

    reason: ClassVar[str] = "NOT_SERVED"
    feature: str

    def __str__(self) -> str:
        return f"this server does not serve {self.feature} yet"


class EngineError(InspectionError):
    """The work failed for a reason that the caller cannot change; a retry may pass."""


@dataclass(eq=False)
class EngineBusyError(EngineError):
    """All workers have work, and the queue is full."""

    reason: ClassVar[str] = "ENGINE_BUSY"
    queued: int
    retry_after_s: float

    def __str__(self) -> str:
        return f"{self.queued} jobs are waiting already: try again in {self.retry_after_s:g} s"


@dataclass(eq=False)
class WorkerLostError(EngineError):
    """The process that did the work ended before it was done."""

    reason: ClassVar[str] = "WORKER_LOST"
    exit_code: int

    def __str__(self) -> str:
        end = f"by signal {-self.exit_code}" if self.exit_code < 0 else f"with {self.exit_code}"
        perhaps = ", perhaps for want of memory," if self.exit_code == KILLED else ""
        return f"the worker process ended {end}{perhaps} before the job was done; call again"


@dataclass(eq=False)
class OutOfMemoryError(EngineError):
    """The job does not fit the device's memory."""

    reason: ClassVar[str] = "OUT_OF_MEMORY"
    device: str

    def __str__(self) -> str:
        return (
            f"the job does not fit the memory of {self.device}: ask for fewer facets or images at "
            "once, or a smaller input; a model that does not fit at all needs a larger server"
        )
