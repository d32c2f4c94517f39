"""An edit as a PEFT adapter: what PEFT makes of it is the edited model."""

import pytest
import torch
from tiny_families import make_tiny

from atlas.editing.applying import apply_edit, digest_with, undo_edit
from atlas.editing.columns import index_of, read_columns
from atlas.editing.copies import save_adapter
from atlas.editing.files import Edit, EditRecord

NEURONS = [(0, 3), (0, 11), (0, 4), (1, 0)]


def made(model):
    """Return a random edit of a few columns in two layers."""
    index = index_of(model, NEURONS)
    before = read_columns(model, index)
    torch.manual_seed(1)
    delta = {layer: torch.randn_like(own) for layer, own in before.items()}
    digests = (model.info.digest, digest_with(model, index, before, delta))
    record = EditRecord(
        model.info.name, *digests, 1, "P36", "france", "paris", "berlin", {}, ("en",), "fit", "file", None, {}
    )
    return Edit(record, index, before, delta)


def logits(network, model):
    ids = torch.tensor([[7, 8, 9, 10, 11]])
    more = {"decoder_input_ids": ids[:, :3]} if model.kind in ("infilling", "reading") else {}
    with torch.no_grad():
        return network(input_ids=ids, **more).logits


@pytest.mark.quick(1)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PEFT, about transformers
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bert", "opt", "t5", "t5:encoder"])
def test_peft_makes_the_edited_model_of_it(family, tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed; the extra `dev` brings it")
    model = make_tiny(family, torch.float32)
    plain, edit = logits(model.model, model), made(model)
    apply_edit(model, edit)
    save_adapter(model, edit, tmp_path / "adapter")
    edited = logits(model.model, model)
    undo_edit(model, edit)
    loaded = peft.PeftModel.from_pretrained(model.model, tmp_path / "adapter")
    found = logits(loaded, model)
    assert (found - edited).abs().max() <= 1e-5 * edited.abs().max()
    assert (plain - edited).abs().max() > 1e-3
    with loaded.disable_adapter():
        assert torch.equal(logits(loaded, model), plain)
