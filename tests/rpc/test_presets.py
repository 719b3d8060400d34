"""Presets, written out, ask for what their names ask for."""

import pytest

from facetscope.gen.facetscope.v1 import inspection_pb2 as pb
from facetscope.gen.facetscope.v1 import model_pb2, synthesis_pb2
from facetscope.rpc.presets import preset_messages
from facetscope.rpc.wire import maximize_activation_from


def job_from(synthesis):
    return maximize_activation_from(
        pb.MaximizeActivationRequest(
            model=model_pb2.Model(digest="0" * 64),
            unit=model_pb2.Unit(layer="fc"),
            synthesis=synthesis,
            spectrum=[{"data": b"x"}] if "MACO" in str(synthesis) else [],
        ),
        keep=lambda _: "",
    )


def named(preset):
    number = getattr(synthesis_pb2, preset.name)
    if preset.WhichOneof("method") == "schedule":
        return synthesis_pb2.Synthesis(schedule={"preset": number})
    return synthesis_pb2.Synthesis(recipe={"preset": number})


def test_every_preset_is_told():
    """A client offers what there is."""
    names = {preset.name for preset in preset_messages()}
    enums = (synthesis_pb2.SchedulePreset, synthesis_pb2.RecipePreset)
    assert names == {name for each in enums for name in each.keys()[1:]}


@pytest.mark.parametrize("preset", preset_messages(), ids=lambda preset: preset.name)
def test_a_preset_written_out_is_the_preset(preset):
    """Whoever changes one part of it changes nothing else."""
    method = preset.WhichOneof("method")
    written = synthesis_pb2.Synthesis(**{method: getattr(preset, method)})
    assert job_from(written) == job_from(named(preset))
