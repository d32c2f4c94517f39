"""Edits that are not what was made: refused, with every weight as it was."""

import dataclasses

import pytest
import torch
from editing.test_edits import made_on
from safetensors.torch import save_file

from atlas.editing.applying import apply_edit, undo_edit
from atlas.editing.copies import found_edit
from atlas.editing.files import edited_digests, load_edit
from atlas.errors import DataError, ModelError
from atlas.ids import stable_id
from atlas.models.model import weights_digest


@pytest.fixture
def edit(family):
    return made_on(family).edit


def _times_hundred(delta):
    return {layer: own * 100 for layer, own in delta.items()}


def _flipped(delta):
    layer = next(iter(delta))
    changed = delta[layer].clone()
    changed[0, 0] += 1
    return {**delta, layer: changed}


@pytest.mark.quick(1)
@pytest.mark.parametrize("damage", [_times_hundred, _flipped])
def test_an_edit_with_another_delta_is_refused(model, edit, tmp_path, damage):
    dataclasses.replace(edit, delta=damage(edit.delta)).save(tmp_path / "edit")
    before = model.info.digest
    with pytest.raises(ModelError, match="its file is damaged"):
        apply_edit(model, load_edit(tmp_path / "edit"))
    assert weights_digest(model.model) == model.info.digest == before


def test_an_edit_that_holds_no_numbers_is_refused(edit, tmp_path):
    dataclasses.replace(edit, delta={layer: own * torch.nan for layer, own in edit.delta.items()}).save(tmp_path / "e")
    with pytest.raises(DataError, match="no numbers"):
        load_edit(tmp_path / "e")


def test_a_file_of_others_beside_the_edits_is_passed_over(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert edited_digests(tmp_path) == {}


def test_undoing_with_other_columns_is_refused(model, edit):
    apply_edit(model, edit)
    after = model.info.digest
    layer = next(iter(edit.before))
    shift = torch.zeros_like(edit.before[layer])
    shift[0, 0] = 0.25
    other = dataclasses.replace(
        edit,
        before={**edit.before, layer: edit.before[layer] + shift},
        delta={**edit.delta, layer: edit.delta[layer] - shift},
    )
    with pytest.raises(ModelError):
        undo_edit(model, other)
    assert weights_digest(model.model) == model.info.digest == after
    undo_edit(model, edit)
    assert model.info.digest == edit.record.digest


def test_an_edit_whose_name_is_no_number_of_ours_is_sought_as_a_file(tmp_path):
    with pytest.raises(DataError, match="² cannot be read as an edit"):
        found_edit(tmp_path / "atlas.duckdb", "²")


def _relu(model):
    model.model.config.hidden_act = model.model.config.activation_function = "relu"


def _unmasked(model):
    model.tokenizer.add_special_tokens({"unk_token": "other"})


@pytest.mark.parametrize(("change", "name"), [(_relu, "config"), (_unmasked, "tokenizer")])
def test_an_edit_of_a_model_with_another_configuration_or_tokenizer_is_refused(model, edit, tmp_path, change, name):
    edit.save(tmp_path / "edit")
    before = model.info.digest
    change(model)
    for put in (apply_edit, undo_edit):
        with pytest.raises(ModelError, match=f"another {name} .* Nothing was changed"):
            put(model, load_edit(tmp_path / "edit"))
    assert weights_digest(model.model) == model.info.digest == before


def test_an_edit_that_names_no_configuration_keeps_its_number_and_can_be_applied(model, edit, tmp_path):
    old = dataclasses.replace(edit, record=dataclasses.replace(edit.record, traits={}, neurons=None))
    old.save(tmp_path / "edit")
    record = old.record
    named = [record.digest, record.fact, record.object, list(record.languages), record.method, record.source]
    assert load_edit(tmp_path / "edit").record.id == stable_id(
        "edit", *named, dict(record.labels), dict(record.settings)
    )
    _relu(model)
    apply_edit(model, load_edit(tmp_path / "edit"))
    assert model.info.digest == record.digest_after
