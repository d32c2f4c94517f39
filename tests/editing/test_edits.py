"""Edits of tiny random models: they do what they say, and leave no trace when undone."""

import dataclasses
import functools

import pytest
import torch
from editing.conftest import make_facts
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_model
from tiny_families import CAUSAL, make_tiny

from atlas.editing.applying import apply_edit, edited, undo_edit
from atlas.editing.columns import index_of, read_columns, shifted, shifting, write_columns
from atlas.editing.files import load_edit
from atlas.editing.job import save_model
from atlas.editing.making import make_edit
from atlas.editing.outcomes import write
from atlas.editing.prompts import prompts_around
from atlas.editing.requests import EditSettings, Request, understand
from atlas.editing.rows import Saved
from atlas.editing.sources import Choice
from atlas.engine.answers import Case, measure
from atlas.errors import DataError, ModelError, TokenError, UsageError
from atlas.models.model import weights_digest
from atlas.store.stored import Prompts

WIDE = Choice("file", tuple((layer, neuron) for layer in (1, 2) for neuron in range(32)))
QUICK = EditSettings(steps=60, rate=0.5, margin=0.5, keep_facts=2, keep_weight=0.1, patience=60)


def target_of(prompts, fact="France", object_="Berlin", **asked):
    ids = [fact_.id for fact_ in prompts.facts.values() if fact_.subject == fact]
    return understand(Request(fact, object_, **asked), prompts, ids)


def state(model):
    return {name: value.clone() for name, value in model.model.state_dict().items()}


@functools.cache
def made_on(family):
    """An edit of a model of this family, made once: every other such model has the same weights."""
    prompts = Prompts(make_facts())
    return make_edit(make_model(family, scale=0.2), target_of(prompts), prompts, [WIDE], QUICK, force=True)


@pytest.fixture
def made(family):
    return made_on(family)


def test_fit_makes_the_new_object_the_argmax_in_every_language(model, prompts, made):
    target = target_of(prompts)
    assert made.converged
    asked = [Case(target.asked(p)) for p in prompts.of(target.fact)]
    assert not all(m.argmax for m in measure(model, asked))
    with edited(model, made.edit):
        assert all(m.argmax for m in measure(model, asked))
    rates = {row["prompt"]: row["argmax_after"] for row in made.outcomes if row["measure"] == "efficacy"}
    assert len(rates) == len(asked)
    assert all(rates.values())


def test_an_edit_goes_little_beyond_its_margin(model, prompts, made):
    target = target_of(prompts)
    steps = [step for prompt in prompts.of(target.fact) for step in model.steps(target.asked(prompt))]
    with edited(model, made.edit):
        logits = torch.stack([model.run(torch.tensor([step.ids]))[0, step.query] for step in steps])
    answers = torch.tensor([[step.target] for step in steps])
    others = logits.scatter(1, answers, -torch.inf).amax(1)
    least = float((logits.gather(1, answers)[:, 0] - others).min())
    assert QUICK.margin - 1e-4 <= least <= QUICK.margin + 0.05


def test_only_the_chosen_columns_change(model, made):
    before = state(model)
    apply_edit(model, made.edit)
    changed = {name for name, value in state(model).items() if not torch.equal(value, before[name])}
    assert {name for name in changed if "attention" in name or "attn" in name} == set()
    for layer in range(model.info.layers):
        own = [neuron for at, neuron in WIDE.neurons if at == layer]
        rest = [neuron for neuron in range(model.info.neurons) if neuron not in own]
        now = model.value_vectors(layer)
        undo = dict(made.edit.before)
        assert layer not in undo or not torch.equal(now[own], undo[layer])
        name = next(n for n, p in model.model.named_parameters() if p is model.down_projection(layer).weight)
        old = before[name].T if isinstance(model.down_projection(layer), torch.nn.Linear) else before[name]
        assert torch.equal(now[rest], old[rest])


def test_undo_restores_every_weight_to_the_bit(model, made, tmp_path):
    before, digest = state(model), model.info.digest
    made.edit.save(tmp_path / "edit.safetensors")
    edit = load_edit(tmp_path / "edit.safetensors")
    apply_edit(model, edit)
    assert model.info.digest == made.edit.record.digest_after != digest
    undo_edit(model, edit)
    assert model.info.digest == digest == weights_digest(model.model)
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def test_an_edit_of_narrowed_weights_is_read_back_applied_and_undone_to_the_bit(prompts, tmp_path):
    model = make_model("gpt2", "float32", scale=0.2)
    model.model.to(torch.bfloat16)  # as `load_model` does: its digest is that of the weights in their file
    before, kn = state(model), EditSettings(method="kn", keep_facts=2)
    made = make_edit(model, target_of(prompts), prompts, [WIDE], kn, force=True)
    made.edit.save(tmp_path / "edit.safetensors")
    edit = load_edit(tmp_path / "edit.safetensors")
    for _ in range(2):
        apply_edit(model, edit)
        assert model.info.digest == edit.record.digest_after
        undo_edit(model, edit)
        assert all(torch.equal(value, before[name]) for name, value in state(model).items())
    model.model.float()
    with pytest.raises(ModelError, match="bfloat16 columns and the model float32; load it with --dtype bfloat16"):
        apply_edit(model, edit)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@given(seed=st.integers(0, 2**32), size=st.floats(1e-8, 1e4))
@settings(max_examples=20, deadline=None)
def test_columns_return_to_the_bit_whatever_was_added(dtype, seed, size):
    model = MODELS[dtype]
    index = index_of(model, [(0, 1), (0, 7), (2, 3)])
    before = read_columns(model, index)
    generator = torch.Generator().manual_seed(seed)
    delta = {
        layer: torch.randn(own.shape, generator=generator, dtype=torch.float64) * size for layer, own in before.items()
    }
    write_columns(model, index, shifted(before, delta))
    write_columns(model, index, before)
    assert weights_digest(model.model) == DIGESTS[dtype]


def test_shifting_equals_changed_columns(model, prompts):
    index = index_of(model, WIDE.neurons)
    before = read_columns(model, index)
    delta = {layer: torch.randn_like(own) * 0.1 for layer, own in before.items()}
    cases = [Case(p) for fact in prompts.facts.values() for p in prompts.of(fact)]
    with shifting(model, index, delta):
        hooked = measure(model, cases)
    write_columns(model, index, shifted(before, delta))
    for a, b in zip(hooked, measure(model, cases), strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)


def test_a_model_saved_in_place_leaves_no_weights_of_before(model, tmp_path):
    outdated = {"model-00001-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}
    for name in {"notes.txt", *outdated}:
        (tmp_path / name).write_text("mine")
    save_model(model, tmp_path, Saved((1,), "undone"))
    left = {path.name for path in tmp_path.iterdir()}
    assert {"notes.txt", "model.safetensors"} <= left
    assert not outdated & left


def test_an_edit_is_refused_on_other_weights(made, family):
    with pytest.raises(ModelError, match="made on weights"):
        apply_edit(make_model(family, scale=0.2, seed=1), made.edit)


def test_an_edit_of_another_number_type_is_refused_with_its_own(model, made):
    own = str(model.dtype).removeprefix("torch.")
    model.model.to(torch.bfloat16)
    with pytest.raises(ModelError, match=f"holds {own} columns and the model bfloat16; load it with --dtype {own}"):
        apply_edit(model, made.edit)


def test_undoing_what_was_not_applied_is_refused(model, made):
    before = state(model)
    with pytest.raises(ModelError, match="was never applied to it"):
        undo_edit(model, made.edit)
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


@pytest.mark.slow
def test_edits_in_turn_are_undone_in_turn(model, prompts, made):
    digest = model.info.digest
    apply_edit(model, made.edit)
    second = make_edit(model, target_of(prompts, "Germany", "Paris"), prompts, [WIDE], QUICK, force=True)
    assert second.converged
    apply_edit(model, second.edit)
    with pytest.raises(ModelError, match="later edits"):
        undo_edit(model, made.edit)
    undo_edit(model, second.edit)
    undo_edit(model, made.edit)
    assert model.info.digest == digest


@torch.no_grad()
def test_an_edit_is_undone_beneath_a_later_one_of_other_neurons(model, made):
    before, other = state(model), model.value_vectors(0)[3:5]
    apply_edit(model, made.edit)
    other *= 2
    model.info = dataclasses.replace(model.info, digest=model.digest())
    undo_edit(model, made.edit)
    other /= 2
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def test_an_exception_inside_edited_undoes_the_edit(model, made):
    digest = weights_digest(model.model)
    with pytest.raises(RuntimeError, match="stop"), edited(model, made.edit):
        raise RuntimeError("stop")
    assert weights_digest(model.model) == digest


@pytest.mark.quick(1)
def test_a_fit_that_does_not_converge_changes_nothing(model, prompts):
    digest = weights_digest(model.model)
    hard = EditSettings(steps=1, rate=1e-6, keep_facts=2)
    made = make_edit(model, target_of(prompts), prompts, [WIDE], hard, force=True)
    assert not made.converged
    assert made.outcomes == []
    assert weights_digest(model.model) == digest


@pytest.mark.slow
def test_choices_widen_until_one_converges(model, prompts):
    narrow = Choice("likn", ((0, 0),))
    settings = QUICK.model_copy(update={"patience": 5})
    made = make_edit(model, target_of(prompts), prompts, [narrow, WIDE], settings, force=True)
    assert made.converged
    assert made.edit.record.source == "file"


def test_kn_adds_and_takes_away_the_answers_embeddings(model, prompts):
    target = target_of(prompts, languages=("en",))
    choice = Choice("kn", ((1, 4),))
    made = make_edit(model, target, prompts, [choice], EditSettings(method="kn"), force=True)
    weight = model.model.get_output_embeddings().weight
    old, new = (
        weight[[s.target for s in model.steps(p)]].float().mean(0)
        for p in (prompts.of(target.fact, ["en"])[0], target.asked(prompts.of(target.fact, ["en"])[0]))
    )
    assert torch.allclose(made.edit.delta[1][0], 8 * new - old, atol=1e-5)


@pytest.mark.quick(1)
def test_transfer_is_measured_in_the_languages_left_out(model, prompts):
    made = make_edit(model, target_of(prompts, languages=("en",)), prompts, [WIDE], QUICK, force=True)
    measures = {row["measure"] for row in made.outcomes}
    assert measures == {"efficacy", "paraphrase", "transfer", "locality", "neighbour"}
    by_measure = {m: [r["prompt"] for r in made.outcomes if r["measure"] == m] for m in measures}
    assert not set(by_measure["efficacy"]) & set(by_measure["transfer"])
    assert all(row["kl"] >= 0 for row in made.outcomes)


def test_facts_with_the_new_object_are_not_unrelated_however_it_is_written(prompts):
    model = make_model("gpt2", "float32")
    target = target_of(prompts, "France", "LIES", relation="P36")  # no object of its relation: it stays a text
    around = prompts_around(model, target, prompts, 4, 0)
    company = {prompt.fact.object for prompt in (*around.keep, *(question.prompt for question in around.questions))}
    assert {"currency", "city"} & company
    assert "lies" not in company


def test_an_unknown_fact_needs_force(model, prompts):
    with pytest.raises(UsageError, match="--force"):
        make_edit(model, target_of(prompts), prompts, [WIDE], QUICK)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"object_": "Paris"}, "is the old one"),
        ({"fact": "France", "object_": "nothing"}, "several facts"),
        ({"languages": ("en", "zh")}, "no name in zh"),
        ({"object_": "any text", "relation": "P36", "languages": ("zh",)}, "no name in zh; choose among en, fr"),
        ({"relation": "P99"}, "no fact of relation 'P99'"),
    ],
)
def test_requests_that_mean_nothing_are_refused(prompts, asked, match):
    with pytest.raises(UsageError, match=match):
        target_of(prompts, **asked)


def test_an_object_that_cannot_be_spelled_is_refused(prompts):
    model = make_model("bert", "float32")
    target = target_of(prompts, "France", "ψψψ", relation="P36")
    with pytest.raises(TokenError, match="cannot spell"):
        make_edit(model, target, prompts, [WIDE], QUICK, force=True)


@pytest.mark.quick(1)
def test_files_that_are_no_edits_are_refused(tmp_path, made):
    from safetensors.torch import save_file

    text = tmp_path / "text.safetensors"
    text.write_text("no")
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    damaged = dataclasses.replace(made.edit, delta={layer: own[:1] for layer, own in made.edit.delta.items()})
    damaged.save(tmp_path / "damaged.safetensors")
    for name in ("text", "other", "damaged", "missing"):
        with pytest.raises(DataError, match="edit"):
            load_edit(tmp_path / f"{name}.safetensors")


@pytest.mark.quick(1)
def test_the_same_edit_is_the_same_file(model, prompts, made, tmp_path):
    again = make_edit(model, target_of(prompts), prompts, [WIDE], QUICK, force=True)
    assert made.edit.save(tmp_path / "a") == again.edit.save(tmp_path / "b")


MODELS = {dtype: make_model("gpt2", dtype) for dtype in ("float32", "float64", "bfloat16")}
DIGESTS = {dtype: weights_digest(model.model) for dtype, model in MODELS.items()}


def greedy(model, prompt, tokens):
    """What the model writes, token by token, by its own forward pass."""
    ids = list(model.steps(prompt)[0].ids)
    start = len(ids)
    while len(ids) < start + tokens and ids[-1:] != [model.model.generation_config.eos_token_id]:
        ids.append(int(model.run(torch.tensor([ids]))[0, -1].argmax()))
    return model.tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_a_model_writes_what_is_most_probable_whatever_its_folder_says_of_writing(prompts):
    model = make_model("gpt2", scale=0.2)
    own = [prompt for fact in prompts.facts.values() for prompt in prompts.of(fact, ["en"])]
    model.model.generation_config.repetition_penalty = 5.0
    assert write(model, own, 6) == [greedy(model, prompt, 6) for prompt in own]
    assert model.model.generation_config.repetition_penalty == 5


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float32) for name in CAUSAL), ("bloom", torch.float64), ("xglm", torch.float64)]
)
def test_what_is_written_does_not_hang_on_the_prompts_beside_it(name, dtype, prompts):
    model = make_tiny(name, dtype)
    own = [prompt for fact in prompts.facts.values() for prompt in prompts.of(fact)]
    assert len({len(model.steps(prompt)[0].ids) for prompt in own}) > 2
    assert write(model, own, 6) == [greedy(model, prompt, 6) for prompt in own]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2"])
def test_what_is_written_after_an_edit_is_the_most_probable_token_each_time(model, prompts):
    target = target_of(prompts)
    made = make_edit(model, target, prompts, [WIDE], QUICK, force=True, generate=3)
    rows = {(row["measure"], row["prompt"]): row for row in made.outcomes}
    own = [prompt for prompt in prompts.of(target.fact) if ("efficacy", prompt.id) in rows]
    with edited(model, made.edit):
        for prompt in own:
            assert rows["efficacy", prompt.id]["written"] == greedy(model, prompt, 3)
            assert rows["efficacy", prompt.id]["says_new"]  # the edit made it the argmax
    assert own
    assert {row["written"] for row in made.outcomes if row["measure"] in ("paraphrase", "transfer")} <= {None}
    elsewhere = [row for row in made.outcomes if row["measure"] in ("locality", "neighbour")]
    assert all(row["says_new"] == ("berlin" in row["written"].casefold()) for row in elsewhere)
    assert elsewhere
