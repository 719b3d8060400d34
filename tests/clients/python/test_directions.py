"""Concept vectors as units."""

import json

import numpy as np
import pytest

from facetscope_client import ChannelWeight, Unit, direction
from facetscope_client.directions import read_direction, read_vector

VECTOR = [0.5, 0.0, -2.0, 1.25]


def test_a_vector_becomes_a_weight_for_each_channel():
    """Whatever it comes in; what is 0 needs no weight."""
    expected = Unit(
        layer="pool",
        weights=[
            ChannelWeight(channel=channel, weight=weight)
            for channel, weight in enumerate(VECTOR)
            if weight
        ],
    )
    assert direction("pool", VECTOR) == expected
    assert direction("pool", np.array(VECTOR, np.float32)) == expected
    at = direction("pool", VECTOR, position=(3, 4), channel_axis=2)
    assert (list(at.position), at.channel_axis) == ([3, 4], 2)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [([1.0, float("nan")], "channel 1 is nan"), ([0.0, 0.0], "all 2 weights are 0"), ([], "all 0")],
)
def test_what_is_no_direction_is_refused(vector, problem):
    """Before anything is uploaded."""
    with pytest.raises(ValueError, match=problem):
        direction("pool", vector)


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f8", "<i8", "|i1"])
@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1, 1)])
def test_a_vector_that_numpy_saved_is_read(tmp_path, kind, shape):
    """Without NumPy, which the client does not need."""
    path = tmp_path / "probe.npy"
    np.save(path, np.array([4, 0, -2, 1], kind).reshape(shape))
    assert read_vector(path) == [4, 0, -2, 1]


def test_a_file_of_a_later_version_of_the_format_is_read(tmp_path):
    """NumPy chooses the version itself."""
    path = tmp_path / "probe.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.array(VECTOR), version=(3, 0))
    assert read_vector(path) == VECTOR


def test_a_direction_is_named_by_layer_and_file(tmp_path):
    """The layer comes first: names of files have equal signs more rarely than those of tensors."""
    path = tmp_path / "probe.json"
    path.write_text(json.dumps(VECTOR))
    assert read_direction(f"a=b={path}") == direction("a=b", VECTOR)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"striped", "neither a .npy file nor JSON"),
        (b'{"weights": [1, 2]}', "a list of numbers"),
        (b"[1, true]", "a list of numbers"),
        (b"\x93NUMPY\x01\x00\x06\x00{'a'::", "damaged"),
        (b"\x93NUMPY\x01", "damaged"),
    ],
)
def test_a_file_without_a_vector_is_refused_with_its_name(tmp_path, content, problem):
    """A typing error is told from a wrong file, and both from a bug."""
    path = tmp_path / "probe"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as caught:
        read_direction(f"pool={path}")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((2, 4)), "no vector"),
        (np.zeros(4, complex), "not read"),
        (np.zeros(4, [("w", float)]), "not read"),
    ],
)
def test_an_array_that_is_no_vector_is_refused(tmp_path, array, problem):
    """A matrix of probes has many directions, and nobody chose one."""
    path = tmp_path / "probe.npy"
    np.save(path, array)
    with pytest.raises(ValueError, match=problem):
        read_vector(path)


@pytest.mark.parametrize("text", ["pool", "=probe.npy", "pool="])
def test_what_names_no_file_is_told_the_form(text):
    """The sentence shows what to write."""
    with pytest.raises(ValueError, match=r"LAYER=FILE\.npy"):
        read_direction(text)
