"""Evidence of facets whose cause is known, through the whole server."""

import io

import grpc
import numpy as np
import pytest
from PIL import Image

from facetscope.gen.facetscope.v1 import facet_pb2, inspection_pb2, inspection_pb2_grpc
from tests import networks
from tests.servers import serving


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    with (
        serving(tmp_path_factory.mktemp("store")) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=20)
        yield inspection_pb2_grpc.InspectionServiceStub(channel)


def photo(seed, *, logo):
    """Coarse noise, darker where there is no logo: the network tells the two apart."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 130, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((40, 40), Image.Resampling.BILINEAR)
    if logo:
        image = image.point(lambda level: level + 100)
        image.paste((20, 200, 40), (31, 31, 40, 40))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def facets(stub, images, **discovery):
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.tiny_onnx()},
        input={"height": 40, "width": 40},
        unit={"layer": "conv", "channel": 1},
        images={"inline": images},
        discovery={"selection": {"all": True}, **discovery},
    )
    events = [response.event for response in stub.DiscoverFacets(request)]
    return [event.facet for event in events if event.WhichOneof("kind") == "facet"]


def test_a_facet_made_by_a_logo_says_so(stub):
    """A reviewer is told before a conclusion is drawn from it, and sees the farthest images."""
    images = [
        {"name": f"a/{seed}.png", "label": "logo" if seed % 2 else "none", "data": data}
        for seed in range(40)
        for data in [photo(seed, logo=bool(seed % 2))]
    ]
    found = facets(stub, images, facets=2, averaged=3, thumbnails=2, farthest=3)
    (logo,) = (facet for facet in found if facet.evidence.common_label == "logo")
    (plain,) = (facet for facet in found if facet.evidence.common_label == "none")
    assert [flag.sign for flag in logo.evidence.flags] == [facet_pb2.SIGN_CORNER]
    assert "bottom right corner" in logo.evidence.flags[0].message
    assert not plain.evidence.flags
    for facet in found:
        activations = [member.activation for member in facet.members]
        evidence = facet.evidence
        assert (evidence.share, evidence.purity) == (0.5, 1)
        assert evidence.activation_mean == pytest.approx(np.mean(activations))
        assert evidence.activation_std == pytest.approx(np.std(activations))
        assert evidence.activation_least == pytest.approx(min(activations))
        assert evidence.activation_most == pytest.approx(max(activations))
        assert not evidence.HasField("stability")
        assert (len(facet.thumbnails), len(facet.farthest_thumbnails)) == (2, 3)


def test_stability_is_told_where_the_number_of_facets_is_sought(stub):
    """Labels are missing here, so there is no purity to tell of."""
    images = [{"data": photo(seed, logo=bool(seed % 2))} for seed in range(40)]
    found = facets(stub, images, range={"minimum": 2, "maximum": 3})
    assert all(0 <= facet.evidence.stability <= 1 for facet in found)
    assert all(facet.evidence.HasField("stability") for facet in found)
    assert not any(facet.evidence.HasField("purity") for facet in found)
    assert sum(facet.evidence.share for facet in found) == pytest.approx(1)
