"""The presets of a synthesis: by their numbers in the contract, and written out in its messages."""

from __future__ import annotations

from typing import Final

from facetscope.domain.recipes import FOURIER, MACO, Recipe
from facetscope.domain.schedules import AUTHORS_CODE, CENTER_BIASED, MEAN_IMAGE, Phase, Schedule
from facetscope.gen.facetscope.v1 import inspection_pb2, model_pb2, synthesis_pb2

SCHEDULES: Final = {
    synthesis_pb2.SCHEDULE_PRESET_UNSPECIFIED: MEAN_IMAGE,
    synthesis_pb2.SCHEDULE_PRESET_MEAN_IMAGE: MEAN_IMAGE,
    synthesis_pb2.SCHEDULE_PRESET_CENTER_BIASED: CENTER_BIASED,
    synthesis_pb2.SCHEDULE_PRESET_AUTHORS_CODE: AUTHORS_CODE,
}

RECIPES: Final = {
    synthesis_pb2.RECIPE_PRESET_FOURIER: FOURIER,
    synthesis_pb2.RECIPE_PRESET_MACO: MACO,
}


def preset_messages() -> list[inspection_pb2.SynthesisPreset]:
    """Every preset, with all of its parts filled in."""
    schedules = [
        inspection_pb2.SynthesisPreset(
            name=synthesis_pb2.SchedulePreset.Name(number), schedule=schedule_message(schedule)
        )
        for number, schedule in SCHEDULES.items()
        if number
    ]
    recipes = [
        inspection_pb2.SynthesisPreset(
            name=synthesis_pb2.RecipePreset.Name(number), recipe=recipe_message(recipe)
        )
        for number, recipe in RECIPES.items()
    ]
    return schedules + recipes


def schedule_message(schedule: Schedule) -> synthesis_pb2.Schedule:
    """The schedule as own phases."""
    return synthesis_pb2.Schedule(
        phases=map(_phase, schedule.phases),
        authors_ramps=schedule.authors_ramps,
        authors_steps=schedule.authors_steps,
    )


def recipe_message(recipe: Recipe) -> synthesis_pb2.Recipe:
    """The recipe with every part set."""
    moves, penalties = recipe.transforms, recipe.penalties
    low, high = moves.scale
    return synthesis_pb2.Recipe(
        parameterization=synthesis_pb2.Parameterization.Value(
            f"PARAMETERIZATION_{recipe.parameterization.name}"
        ),
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        decay=recipe.decay,
        transforms=synthesis_pb2.Transforms(
            jitter=moves.jitter,
            scale_low=low,
            scale_high=high,
            rotation=moves.rotation,
            noise=moves.noise,
        ),
        penalties=synthesis_pb2.Penalties(
            total_variation=penalties.total_variation, l2=penalties.l2, blur=penalties.blur
        ),
    )


def _phase(phase: Phase) -> synthesis_pb2.Phase:
    step_sizes, weights = phase.step_size, phase.tv_weight
    return synthesis_pb2.Phase(
        steps=phase.steps,
        step_size_start=step_sizes[0],
        step_size_end=step_sizes[1],
        tv_weight_start=weights[0],
        tv_weight_end=weights[1],
        window=phase.window,
        margin=phase.margin,
        scale=phase.scale,
        readout=model_pb2.Readout.Value(f"READOUT_{phase.readout.name}"),
    )
