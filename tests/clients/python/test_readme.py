"""The examples of the README are programs."""

import re
from contextlib import chdir
from pathlib import Path

import grpc
from tests.clients.python.support import INSPECTION, Failure

README = Path(__file__).parents[3] / "clients" / "python" / "README.md"


def test_the_examples_run(address, scripted, model, photos, capsys):
    """Whoever copies an example gets what it promises."""
    first, second = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    unknown = Failure(grpc.StatusCode.NOT_FOUND, "LAYER_NOT_FOUND", {"nearest": "fc"})
    scripted.scripts = [INSPECTION, [unknown]]
    with chdir(model.parent):
        for example in (first, second):
            exec(example.replace("127.0.0.1:50051", address), {})
    assert "facet 1: activation 9.5" in capsys.readouterr().out
    assert (photos.parent / "facet-1.png").is_file()
