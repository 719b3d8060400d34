"""What a client holds in its hands, from a real server: every encoding, every map, every time."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from facetscope_client import Client, Input, Manifest, Synthesis, SynthesizedImage
from facetscope_client.gen.facetscope.v1 import synthesis_pb2 as pb
from tests import networks
from tests.servers import serving

PHASE = {"steps": 8, "step_size_start": 3, "tv_weight_start": 1}
CHANNELS = [1, 3, 5]
UNIT = "logits:1"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("store")) as (_, address):
        yield address


@pytest.fixture(scope="module")
def client(server):
    with Client(server, timeout_s=120) as client:
        yield client


def synthesized(client, model, *, seed=3, channels=3, count=2, **how):
    synthesis = Synthesis(
        schedule={"phases": [PHASE, {**PHASE, "scale": 1.5}]}, seed=seed, preview_interval=5, **how
    )
    events = client.maximize_activation(
        model, UNIT, input=Input(channels=channels), synthesis=synthesis, count=count
    )
    return list(events)


def images(events):
    return [event for event in events if isinstance(event, SynthesizedImage)]


def colours(picture, channels):
    """What a receiver decodes, [channel, height, width], without the alpha channel."""
    match picture.media_type:
        case "application/octet-stream":
            values = np.frombuffer(picture.data, "<f4").reshape(picture.shape)
        case "application/x-npy":
            values = np.load(io.BytesIO(picture.data))
        case _:
            image = Image.open(io.BytesIO(picture.data))
            grey = channels == 1
            values = np.atleast_3d(image.convert("L" if grey else "RGB")).transpose(2, 0, 1)
    return torch.tensor(values[:channels]).float()


def activation(model, pixels):
    """The unit's, by ONNX Runtime alone: the pixels in [0, 1], without mean or std."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": pixels[None].numpy() / 255})
    return float(logits[0, 1])


@pytest.mark.parametrize("encoding", pb.Encoding.values()[1:])
@pytest.mark.parametrize("channels", CHANNELS)
def test_the_activation_is_that_of_what_was_delivered(client, encoding, channels):
    """The figure can be checked by whoever has the picture and the model, and nothing of ours."""
    model = networks.tiny_onnx(channels=channels)
    how = {"low": 0.0, "high": 1.0, "mean": [0.0] * channels, "std": [1.0] * channels}
    synthesis = Synthesis(schedule={"phases": [PHASE]}, encoding=encoding)
    asked = Input(channels=channels, **how)
    events = client.maximize_activation(model, UNIT, input=asked, synthesis=synthesis)
    (image,) = images(events)
    found = colours(image.picture, channels)
    if len(found) == channels:
        assert activation(model, found) == pytest.approx(image.activation, rel=1e-5, abs=1e-6)
    else:
        assert image.picture.media_type.startswith("image/")
        assert channels == 5


@pytest.mark.parametrize("encoding", [pb.ENCODING_PNG, pb.ENCODING_WEBP, pb.ENCODING_NPY])
@pytest.mark.parametrize("alpha", [pb.ALPHA_ATTRIBUTION, pb.ALPHA_TRANSPARENCY])
def test_a_map_comes_with_every_image(client, encoding, alpha):
    """It shows what matters; the figures are those of the colours, whatever it shows."""
    model = networks.tiny_onnx()
    plain = images(synthesized(client, model, encoding=encoding))
    mapped = images(synthesized(client, model, encoding=encoding, alpha=alpha))
    for without, image in zip(plain, mapped, strict=True):
        assert image.picture.alpha
        assert not without.picture.alpha
        assert image.activation == pytest.approx(without.activation, rel=0.05)
        if encoding != pb.ENCODING_WEBP:
            assert torch.equal(colours(image.picture, 3), colours(without.picture, 3))
    if encoding == pb.ENCODING_PNG:
        shown = np.asarray(Image.open(io.BytesIO(mapped[0].picture.data)))[..., 3]
        assert shown.max() == 255
        assert shown.std() > 5


def test_previews_are_sent_like_images_but_for_the_map(client):
    """A client needs one decoder, and a map of half an ascent would mislead."""
    events = synthesized(
        client, networks.tiny_onnx(), encoding=pb.ENCODING_WEBP, alpha=pb.ALPHA_TRANSPARENCY
    )
    previews = [event for event in events if isinstance(event, pb.PreviewImage)]
    assert 0 < len(previews) <= 6  # a slow reader is spared some
    assert {each.picture.media_type for each in previews} == {"image/webp"}
    assert not any(each.picture.alpha for each in previews)


def test_a_tensor_can_be_started_from(client):
    """Channels that no picture shows survive the way to a client and back."""
    model, channels = networks.tiny_onnx(channels=5), Input(channels=5)
    synthesis = Synthesis(schedule={"phases": [PHASE]}, encoding=pb.ENCODING_NPY)
    asked = {"input": channels, "synthesis": synthesis}
    (image,) = images(client.maximize_activation(model, UNIT, **asked))
    file = io.BytesIO()
    np.save(file, np.moveaxis(np.load(io.BytesIO(image.picture.data)), 0, -1) / 255)
    (later,) = images(client.maximize_activation(model, UNIT, starts=[file.getvalue()], **asked))
    assert later.start_activation == pytest.approx(image.activation, rel=0.02)


def test_the_same_job_gives_the_same_bytes_in_another_process(tmp_path):
    """A job names its result, whichever worker does it, and whatever that did before."""
    model, found = networks.tiny_onnx(), []
    for folder in ("one", "other"):
        with serving(tmp_path / folder) as (_, address), Client(address, timeout_s=120) as client:
            if folder == "other":
                synthesized(client, model, seed=9, count=1)
            found.append(synthesized(client, model, alpha=pb.ALPHA_ATTRIBUTION))
    one, other = ([event.SerializeToString() for event in images(events)] for events in found)
    assert one == other
    jobs = [event.job_digest for events in found for event in events if isinstance(event, Manifest)]
    assert jobs[0] == jobs[1]


def test_another_seed_gives_another_image(client):
    """Randomness is the request's, and there is some."""
    model = networks.tiny_onnx()
    found = [images(synthesized(client, model, seed=seed)) for seed in (3, 4)]
    pictures = [{each.picture.data for each in images_} for images_ in found]
    assert not pictures[0] & pictures[1]
    assert all(len(each) == 2 for each in pictures)
