"""Settings come from variables of the environment, or from their defaults."""

from pathlib import Path

import pytest

from facetscope.settings import Settings


def test_what_is_not_set_keeps_its_default():
    """A server starts without any configuration."""
    assert Settings.from_environment({"HOME": "/root"}) == Settings()


def test_each_kind_of_setting_is_read():
    """Operators set what the documentation lists."""
    settings = Settings.from_environment(
        {
            "FACETSCOPE_PORT": "0",
            "FACETSCOPE_STORE": "/srv/artifacts",
            "FACETSCOPE_GRACE_S": "2.5",
            "FACETSCOPE_REFLECTION": "false",
            "FACETSCOPE_DEVICE": "cuda",
        }
    )
    assert (settings.port, settings.grace_s, settings.reflection) == (0, 2.5, False)
    assert (settings.store, settings.device) == (Path("/srv/artifacts"), "cuda")


@pytest.mark.parametrize(
    ("variable", "value"), [("FACETSCOPE_PORT", "http"), ("FACETSCOPE_REFLECTION", "perhaps")]
)
def test_what_cannot_be_read_is_named(variable, value):
    """A typing error in a manifest is found at the start, not at the first call."""
    with pytest.raises(ValueError, match=f"{variable}='{value}'"):
        Settings.from_environment({variable: value})


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 0},
        {"device": "tpu"},
        {"log_level": "loud"},
        {"port": -1},
        {"worker_memory_bytes": 10**8},
        {"decoded_bytes": 10**6},
    ],
)
def test_what_no_server_can_run_with_is_refused(settings):
    """A server that would hang on its first call does not start."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        Settings(**settings)
