"""Checks of what changes the model: interventions, edits, saving; all of it undone."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers

from atlas.attribution.reference import reference_neurons
from atlas.doctor.outcome import Outcome, relative, tolerance
from atlas.doctor.scores import loudest
from atlas.editing.applying import apply_edit, digest_with, undo_edit
from atlas.editing.columns import index_of, read_columns, shifting
from atlas.editing.files import Edit, EditRecord, load_edit
from atlas.ids import Neuron
from atlas.models import LanguageModel, Step, load_model

WIDTHS = (
    "intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "d_ff", "hidden_dim", "n_inner",
    "ffn_hidden_size",
)  # fmt: skip
"""What configurations call the width of a feed-forward network; four times the hidden size where they are silent."""


def written(model: LanguageModel, layers: Sequence[int]) -> Outcome:
    """The neurons are as many as the feed-forward network is wide, and each writes its value vector."""
    info, config = model.info, model.model.config
    wide = {getattr(config, name, None) for name in WIDTHS} | {4 * info.hidden}
    shapes = {tuple(model.value_vectors(layer).shape) for layer in layers}
    if info.neurons not in wide or shapes != {(info.neurons, info.hidden)}:
        return Outcome("value vectors", float("inf"), 0.0, "the row does not name the down-projection")
    errors = []
    for layer in layers:
        one = torch.zeros(2, 1, info.neurons, dtype=model.dtype, device=model.device)
        one[1, 0, 1] = 1
        with torch.no_grad():
            nothing, out = model.down_projection(layer)(one)
        errors.append(relative((out - nothing)[0], model.value_vectors(layer)[1]))
    return Outcome("value vectors", max(errors), tolerance(model), "what one neuron adds")


def intervened(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """Suppressed neurons are 0, enhanced ones double, the logits change, and afterwards all is as it was."""
    neurons = loudest(model, step, layers)
    ids = torch.tensor([step.ids], device=model.device)
    with torch.no_grad():
        plain, before = reference_neurons(model, step.ids, step.query), model.run(ids)
        with model.suppress(neurons):
            zeros, without = reference_neurons(model, step.ids, step.query), model.run(ids)
        with model.enhance(neurons[:1]):
            double, more = reference_neurons(model, step.ids, step.query), model.run(ids)
        after = model.run(ids)
    first = neurons[0]
    errors = [float(max(abs(zeros[own]) for own in neurons)), relative(double[first], 2 * plain[first])]
    errors += [float(torch.equal(before, changed)) for changed in (without, more)]
    errors.append(float(not torch.equal(before, after)))
    return Outcome("suppress and enhance", max(errors), tolerance(model), "neurons set, logits changed, undone")


def edited_and_undone(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """An edit read from its file acts as what it adds to the value vectors, and is undone to the bit."""
    ids, info, digest = torch.tensor([step.ids], device=model.device), model.info, model.digest()
    edit = _edit(model, loudest(model, step, layers))
    with torch.no_grad():
        before = model.run(ids)
        with shifting(model, edit.index, {layer: own.to(model.device) for layer, own in edit.delta.items()}):
            wanted = model.run(ids)
        apply_edit(model, _through_file(edit))
        found = model.run(ids)
        undo_edit(model, edit)
    undone = model.digest() == digest == model.info.digest and torch.equal(model.run(ids), before)
    model.info = info  # of weights that were narrowed as they were loaded it has the digest of those stored
    error = relative(found - before, wanted - before) if undone else float("inf")
    rounding = 100 * torch.finfo(model.dtype).eps / max(float((wanted - before).abs().max()), 1e-30)
    return Outcome("edit and undo", error, tolerance(model) + rounding, "through its file, undone to the bit")


def saved(model: LanguageModel) -> Outcome:
    """The model, saved and loaded again, has the same digest."""
    transformers.utils.logging.disable_progress_bar()
    with TemporaryDirectory() as folder:
        model.model.save_pretrained(folder)  # type: ignore[operator]
        model.tokenizer.save_pretrained(folder)
        again = load_model(folder + model.stack, device="cpu", dtype=str(model.dtype).removeprefix("torch."))  # type: ignore[arg-type]
    return Outcome("save and reload", float(again.info.digest != model.digest()), 0.0, "equal digest")


def _edit(model: LanguageModel, neurons: Sequence[Neuron]) -> Edit:
    """Return an edit of a fact that does not exist, which adds seeded noise to the value vectors of `neurons`."""
    index = index_of(model, neurons)
    before = read_columns(model, index)
    generator = torch.Generator().manual_seed(0)
    delta = {
        layer: torch.randn(own.shape, generator=generator, dtype=torch.float64).to(own) * own.abs().mean()
        for layer, own in before.items()
    }
    after = digest_with(model, index, before, delta)
    record = EditRecord(
        model=model.info.name, digest=model.info.digest, digest_after=after, fact=0, relation="", subject="",
        old_object="", object="", labels={}, languages=(), method="fit", source="", run=None, settings={},
        digest_narrow=model.digest(),
    )  # fmt: skip
    return Edit(record, index, before, delta)


def _through_file(edit: Edit) -> Edit:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "edit.safetensors"
        edit.save(path)
        return load_edit(path)
