"""Options that say what to explain: channels, neurons and directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

import typer

from facetscope_client.cli.parsing import direction_from, unit_from
from facetscope_client.gen.facetscope.v1.model_pb2 import Unit

UNIT_HELP: Final = (
    "What to explain: a channel of a layer, one neuron of it, or a sum of channels such as "
    "`fc:3-8`, `fc:0.5*3+2*11` or `fc:-3`; AXIS counts channels where `describe` has them along "
    "another."
)
DIRECTION_HELP: Final = (
    "A direction of a layer, such as a concept vector: a weight for each channel, as NumPy saves "
    "it or as a JSON list."
)

_unit = partial(
    typer.Option, parser=unit_from, metavar="LAYER:CHANNEL[@Y,X][~AXIS]", show_default=False
)
_direction = partial(
    typer.Option, parser=direction_from, metavar="LAYER=FILE.npy|.json", show_default=False
)


@dataclass(frozen=True, kw_only=True)
class UnitOptions:
    """The one unit of a command."""

    unit: Annotated[Unit | None, _unit(help=UNIT_HELP)] = None
    direction: Annotated[Unit | None, _direction(help=DIRECTION_HELP)] = None

    def chosen(self) -> Unit:
        """The unit.

        Raises:
            typer.BadParameter: There is none, or more than one.
        """
        units = [each for each in (self.unit, self.direction) if each is not None]
        if len(units) != 1:
            raise typer.BadParameter("give one of --unit and --direction", param_hint="--unit")
        return units[0]


@dataclass(frozen=True, kw_only=True)
class UnitsOptions:
    """The units of a command."""

    unit: Annotated[list[Unit] | None, _unit(help=f"{UNIT_HELP} May be repeated.")] = None
    direction: Annotated[
        list[Unit] | None, _direction(help=f"{DIRECTION_HELP} May be repeated.")
    ] = None

    def chosen(self) -> list[Unit]:
        """The units, at least one.

        Raises:
            typer.BadParameter: There is none.
        """
        units = [*(self.unit or ()), *(self.direction or ())]
        if not units:
            raise typer.BadParameter("give a --unit or a --direction", param_hint="--unit")
        return units
