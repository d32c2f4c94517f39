"""Putting an edit into a model and taking it out again, to the bit (METHOD 5)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from atlas.attribution.traits import traits
from atlas.editing.columns import Columns, Index, index_of, read_columns, shifted, write_columns
from atlas.editing.files import Edit
from atlas.errors import ModelError
from atlas.models import LanguageModel


def apply_edit(model: LanguageModel, edit: Edit) -> None:
    """Change the model's columns as the edit says; afterwards `model.info.digest` is that of the changed weights.

    Raises ModelError for a model whose weights, tokenizer or configuration are not those that the edit was made on,
    and for an edit that does not lead to the weights that it says; nothing is changed then.
    """
    record = edit.record
    _check_traits(model, edit)
    if model.info.digest not in record.unedited:
        raise ModelError(
            f"The edit was made on weights {record.digest} ({record.model}), and {model.info.name!r} has weights "
            f"{model.info.digest}; apply it to the model that it was made on."
        )
    index = index_of(model, edit.neurons)
    before = read_columns(model, index)
    _expect(before, edit.before, model, "different columns")
    write_columns(model, index, shifted(before, edit.delta))
    digest = model.digest()
    if digest != record.digest_after:
        write_columns(model, index, before)
        raise ModelError(
            f"The edit leads to weights {digest} and says {record.digest_after}: its file is damaged; make it again."
        )
    model.info = replace(model.info, digest=digest)


def undo_edit(model: LanguageModel, edit: Edit) -> None:
    """Put the columns back as they were before the edit, to the bit.

    Raises ModelError if they are not as the edit left them: it was never applied, or a later edit changed them too; and
    for a model of another tokenizer or configuration.
    """
    _check_traits(model, edit)
    index = index_of(model, edit.neurons)
    now = read_columns(model, index)
    if all(now[layer].dtype == own.dtype and torch.equal(now[layer].cpu(), own) for layer, own in edit.before.items()):
        raise ModelError(
            f"Edit {edit.record.id} is already undone in this model, or was never applied to it; nothing was changed."
        )
    left = shifted({layer: own.to(model.device) for layer, own in edit.before.items()}, edit.delta)
    _expect(now, left, model, "columns that this edit did not leave there (undo later edits of the same neurons first)")
    whole = model.info.digest == edit.record.digest_after
    write_columns(model, index, edit.before)
    digest = model.digest()
    if whole and digest not in edit.record.unedited:
        write_columns(model, index, now)
        raise ModelError(
            f"Undoing the edit leads to weights {digest}, and it was made on {edit.record.digest}: its file is "
            "damaged; nothing was changed."
        )
    model.info = replace(model.info, digest=digest)


def digest_with(model: LanguageModel, index: Index, before: Columns, delta: Columns) -> str:
    """Return the digest that the model's weights would have with `delta` added to the columns `before`."""
    write_columns(model, index, shifted(before, delta))
    try:
        return model.digest()
    finally:
        write_columns(model, index, before)


@contextmanager
def edited(model: LanguageModel, edit: Edit) -> Iterator[LanguageModel]:
    """Apply the edit inside the block and undo it on exit, exception or not."""
    digest = model.info.digest
    apply_edit(model, edit)
    try:
        yield model
    finally:
        write_columns(model, index_of(model, edit.neurons), edit.before)
        model.info = replace(model.info, digest=digest)


def _check_traits(model: LanguageModel, edit: Edit) -> None:
    """Raise ModelError unless what decides a model's answers beside its weights is what it was for the edit."""
    own = traits(model) if edit.record.traits else {}
    for name, then in edit.record.traits.items():
        if own.get(name) != then:
            raise ModelError(
                f"The edit was made on a model with another {name} ({then}) than that of {model.info.name!r} "
                f"({own.get(name)}); put its files back as they were. Nothing was changed."
            )


def _expect(found: Columns, wanted: Columns, model: LanguageModel, what: str) -> None:
    for layer, own in wanted.items():
        if found[layer].dtype != own.dtype:
            held, is_now = (str(one.dtype).removeprefix("torch.") for one in (own, found[layer]))
            raise ModelError(f"The edit holds {held} columns and the model {is_now}; load it with --dtype {held}.")
        if not torch.equal(found[layer].cpu(), own.cpu()):
            raise ModelError(f"Layer {layer} of {model.info.name!r} has {what}; nothing was changed.")
