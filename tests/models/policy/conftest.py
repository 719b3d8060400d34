"""Archives to spoil."""

import pytest
import torch
from torch import nn


@pytest.fixture
def archive(tmp_path):
    """A clean archive."""
    path = tmp_path / "model.pt"
    torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())).save(str(path))
    return path
