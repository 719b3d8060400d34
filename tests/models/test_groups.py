"""A graph for one batch size gives, for any number of images, what it gives for each group."""

import pytest
import torch
from torch import fx
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.graph import Translation, Value, bound
from facetscope.models.groups import Groups
from facetscope.models.network import Network

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
KERNEL = torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def outputs_at(size):
    """A row for each image, one number, and rows that count something else."""

    def outputs(images):
        assert len(images) == size
        maps = F.conv2d(images, KERNEL).square()
        return maps, maps.max(), maps.transpose(0, 1)

    return outputs


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_groups_are_computed_one_after_another(size):
    """What a group gives does not depend on the others, and repeated images leave no rows."""
    repeated = IMAGES[torch.arange(-(-5 // size) * size) % 5]
    alone = [outputs_at(size)(group) for group in repeated.split(size)]
    maps, greatest, transposed = Groups(outputs_at(size), size)(IMAGES)
    torch.testing.assert_close(maps, torch.cat([each[0] for each in alone])[:5])
    torch.testing.assert_close(greatest, torch.stack([each[1] for each in alone]))
    torch.testing.assert_close(transposed, torch.cat([each[2] for each in alone]))


@pytest.mark.parametrize("size", [1, 2])
def test_groups_have_the_gradient_of_a_loop(size):
    """Images are improved along it; those repeated to fill a group count once."""
    images = IMAGES.clone().requires_grad_()
    (given,) = torch.autograd.grad(Groups(outputs_at(size), size)(images)[0].sum(), images)
    (expected,) = torch.autograd.grad(F.conv2d(images, KERNEL).square().sum(), images)
    torch.testing.assert_close(given, expected)


def test_an_operator_that_cannot_be_computed_side_by_side_is_computed_in_a_loop():
    """Which operators torch has batching rules for is no concern of the user's."""
    attention = Groups(lambda x: (F.scaled_dot_product_attention(x, x, x),), 1)
    expected = F.scaled_dot_product_attention(IMAGES, IMAGES, IMAGES)
    torch.testing.assert_close(attention(IMAGES)[0], expected)


def translation(batch):
    """Maps, their means, and class scores, of a graph that spells its batch size out."""
    graph = fx.Graph()
    image = graph.placeholder("image")
    kernel = graph.get_attr("kernel")
    maps = graph.call_function(torch.ops.aten.conv2d.default, (image, kernel))
    means = graph.call_function(torch.ops.aten.mean.dim, (maps, [2, 3]))
    scores = graph.call_function(torch.ops.aten.reshape.default, (means, [batch, 4]))
    graph.output((scores,))
    shapes = {image: (batch, 3, 8, 8), kernel: (4, 3, 3, 3), maps: (batch, 4, 6, 6)}
    for node, shape in (shapes | {means: (batch, 4), scores: (batch, 4)}).items():
        node.meta["shape"] = shape
    root = torch.nn.Module()
    root.register_buffer("kernel", KERNEL)
    values = {"maps": Value(maps, "Conv"), "scores": Value(scores, "Reshape")}
    return bound(Translation(fx.GraphModule(root, graph), values, ("scores",)), batch)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_bound_network_is_read_like_any_other(batch):
    """Layers, their channels, and readings of inner ones are those of a free graph."""
    network = Network(translation(batch), torch.device("cpu"))
    assert [layer.shape for layer in network.layers] == [(-1, 4, 6, 6), (-1, 4)]
    assert [layer.channel_axis for layer in network.layers] == [1, 1]
    (maps,) = network.reading(["maps"])(IMAGES)
    torch.testing.assert_close(maps, F.conv2d(IMAGES, KERNEL))
    scores, again = network.reading(["scores", "maps"])(IMAGES)
    torch.testing.assert_close((scores, again), (maps.mean((2, 3)), maps))
    assert network.reading(["maps"]) is network.reading(["maps"])


def test_weights_of_a_bound_graph_are_not_taken_for_batches():
    """A kernel has as many filters as there are images in a batch of four."""
    nodes = translation(4).module.graph.nodes
    assert [node.meta["shape"] for node in nodes if node.op == "get_attr"] == [(4, 3, 3, 3)]
