"""Neurons as other packages name them: hooks put by hand where the names say, against those of the atlas."""

import re

import pytest
import torch
from tiny_families import NEURONS as WIDTH
from tiny_families import make_tiny

from atlas.errors import UsageError
from atlas.models.families import hooks
from atlas.models.scaling import suppress

CUT = [(0, 7), (2, 3), (0, 1)]
IDS = torch.tensor([[7, 8, 9, 10, 11]])


def place(network, component):
    """Return the module whose input `component` is, by names and indices in brackets, as pyvene finds it."""
    path, _, side = component.rpartition(".")
    assert side == "input"
    for name in path.split("."):
        own, index = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name).groups()
        network = getattr(network, own)
        network = network if index is None else network[int(index)]
    return network


@pytest.mark.quick(3)
@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "gpt_neox", "llama", "mistral", "qwen2", "gemma", "gemma2"])
def test_what_is_cut_where_pyvene_is_told_is_what_suppress_cuts(family):
    model = make_tiny(family)
    told = hooks("pyvene", family, CUT)
    assert told["subspaces"] == [[1, 7], [3]]
    assert {(each["unit"], each["max_number_of_units"]) for each in told["representations"]} == {("pos", 1)}

    def cut(own):
        def hook(_, args):
            values = args[0].clone()
            assert values.shape == (1, 5, WIDTH)
            values[:, -1, own] = 0
            return (values, *args[1:])

        return hook

    with suppress(model, CUT):
        wanted = model.run(IDS)
    handles = [
        place(model.model, each["component"]).register_forward_pre_hook(cut(own))
        for each, own in zip(told["representations"], told["subspaces"], strict=True)
    ]
    found = model.run(IDS)
    for handle in handles:
        handle.remove()
    assert torch.equal(found, wanted)
    assert not torch.equal(found, model.run(IDS))


def test_in_a_gated_network_it_is_the_product_that_is_named():
    model = make_tiny("llama")
    (told,) = hooks("pyvene", "llama", [(1, 0)])["representations"]
    seen = {}
    network = model.model.model.layers[1].mlp
    network.register_forward_pre_hook(lambda _, args: seen.update(hidden=args[0]))
    place(model.model, told["component"]).register_forward_pre_hook(lambda _, args: seen.update(neurons=args[0]))
    model.run(IDS)
    gate, up = network.gate_proj(seen["hidden"]), network.up_proj(seen["hidden"])
    torch.testing.assert_close(seen["neurons"], torch.sigmoid(gate) * gate * up)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("llama", "blocks.2.mlp.hook_post"), ("bert", "blocks.2.mlp.hook_post"),
        ("t5", "decoder_blocks.2.mlp.hook_post"), ("t5:encoder", "encoder_blocks.2.mlp.hook_post"),
    ],
)  # fmt: skip
def test_the_hook_of_transformer_lens_is_named_by_the_stack(family, name):
    assert hooks("transformer-lens", family, [(2, 9), (2, 4), (2, 9)]) == {"hooks": {name: [4, 9]}}


@pytest.mark.parametrize(
    ("package", "family", "said"),
    [
        ("pyvene", "bert", "pyvene takes no models of family 'bert', only gpt2"),
        ("pyvene", "t5:encoder", "pyvene takes no models of family 't5:encoder'"),
        ("transformer-lens", "distilbert", "TransformerLens takes no models of family 'distilbert'"),
        ("pyveen", "gpt2", "--hooks cannot be 'pyveen': did you mean pyvene"),
    ],
)
def test_what_a_package_cannot_take_is_refused_by_name(package, family, said):
    with pytest.raises(UsageError, match=said):
        hooks(package, family, CUT)
