"""What the tests of the ONNX translator share."""

import onnx
import pytest
from tests.models.architectures import network
from tests.models.onnx.samples import exported


@pytest.fixture(scope="session")
def export():
    """Networks and their files by architecture and exporter, each made once."""
    made = {}

    def make(architecture, exporter):
        if architecture not in made:
            made[architecture] = network(architecture)
        if (architecture, exporter) not in made:
            stored = exported(made[architecture].float(), dynamo=exporter == "dynamo")
            made[architecture, exporter] = stored
        return made[architecture].double(), onnx.load_model_from_string(
            made[architecture, exporter]
        )

    return make
