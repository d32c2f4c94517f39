"""The neurons of an encoder, asked for by `:encoder`: against hooks written here on the transformers model itself."""

import pytest
import torch
from tiny import PROMPTS, make_model, make_prompt
from tiny_families import ENCODERS, make_tiny

from atlas.attribution import METHODS, Settings, attribute
from atlas.attribution.engine import score_steps
from atlas.attribution.paths import mean_baselines
from atlas.attribution.quadrature import gauss_radau
from atlas.doctor.throughout import unrounded
from atlas.editing.columns import index_of, shifting
from atlas.editing.fitting import fit
from atlas.editing.problem import make_problem
from atlas.editing.requests import EditSettings
from atlas.engine.batches import StepBatch
from atlas.engine.cutting import replay_cut
from atlas.engine.replay import rerun
from atlas.engine.tracing import trace
from atlas.engine.value_vectors import neuron_tokens
from atlas.errors import ModelError
from atlas.models import LanguageModel, load_model
from atlas.models.hooks import neurons_replaced
from atlas.models.names import with_stack
from atlas.models.readout import features_of_ids, output_matrix, token_logits
from atlas.models.tokens import SEPARATOR, prompt_steps
from atlas.schema import USABLE_STATUSES

PROMPT = next(p for p in PROMPTS if " " in p.answer)
"""One whose answer has several tokens."""


@pytest.fixture(params=ENCODERS)
def encoder(request):
    """A tiny model; nothing in it is rounded to float32 while a test runs."""
    model = make_tiny(request.param)
    with unrounded(model):
        yield model


def down_projections(model):
    """Return the encoder's, by the attributes of the transformers model."""
    if hasattr(model.model, "encoder"):
        return [block.layer[-1].DenseReluDense.wo for block in model.model.encoder.block]
    return [layer.fc2 for layer in model.model.model.encoder.layers]


def asked(model):
    """Return what the encoder reads, what the decoder has written, and the token it is to write, for each step."""
    found = []
    for step in prompt_steps(model.tokenizer, "infilling", PROMPT, 64):
        cut = step.ids.index(SEPARATOR)
        found.append((step.ids[cut + 1 :], step.ids[:cut], step.target))
    return found


def probability(model, step, edits=None):
    """Return F by the transformers model, neurons at the mark set to `edits` {layer: values}, and the neurons."""
    read, written, target = step
    place = read.index(model.mark)
    seen, handles = [], []
    for layer, down in enumerate(down_projections(model)):

        def hook(_, args, layer=layer):
            values = args[0].clone()
            if layer in (edits or {}):
                values[:, place] = edits[layer]
            seen.append(values[0, place].detach().clone())
            return (values,)

        handles.append(down.register_forward_pre_hook(hook))
    try:
        with torch.no_grad():
            out = model.model(input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([written]))
        return float(out.logits[0, -1].softmax(-1)[target]), torch.stack(seen)
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.quick(1)
def test_the_neurons_are_the_encoders_and_the_answer_the_decoders(encoder):
    decoder = LanguageModel.wrap(encoder.model, encoder.tokenizer, with_stack(encoder.info.name))
    assert encoder.info.kind == "reading"
    assert encoder.info.layers == len(down_projections(encoder)) != decoder.info.layers
    assert encoder.info.neurons == down_projections(encoder)[0].in_features
    assert encoder.info.digest != decoder.info.digest
    assert encoder.info.id != decoder.info.id
    for step, (read, written, target) in zip(encoder.steps(PROMPT), asked(encoder), strict=True):
        assert step.ids == (*read, SEPARATOR, *written)
        assert (step.ids[step.query], step.target) == (encoder.mark, target)
        assert all(place < len(read) and place != step.query for word in step.words for place in word)
        wanted, neurons = probability(encoder, (read, written, target))
        record = trace(encoder, StepBatch.of(encoder, [step]))
        assert float(encoder.run(torch.tensor([step.ids]))[0, -1].softmax(-1)[target]) == pytest.approx(
            wanted, rel=1e-10
        )
        assert torch.allclose(record.neurons[0], neurons, atol=1e-12)


@pytest.mark.quick(1)
@pytest.mark.parametrize("layer", [0, 1])
def test_scores_are_slopes_by_finite_differences(encoder, layer):
    """Integrated with two nodes from zero, the neurons one by one."""
    rule, step = gauss_radau(2), len(asked(encoder)) - 1
    batch = StepBatch.of(encoder, encoder.steps(PROMPT)[step:])
    found = score_steps(encoder, batch, Settings(method="kn", nodes=2, max_nodes=2), 1 << 24)[0].scores[0, layer]
    value = probability(encoder, asked(encoder)[step])[1][layer]
    chosen = found.abs().topk(3).indices.tolist()
    for neuron in chosen:
        wanted = sum(
            weight * _slope(encoder, asked(encoder)[step], layer, node * value, neuron)
            for node, weight in zip(rule.nodes, rule.weights, strict=True)
        ) * float(value[neuron])
        assert float(found[neuron]) == pytest.approx(wanted, rel=1e-6)


def _slope(model, step, layer, values, neuron, width=1e-5):
    ends = []
    for sign in (1, -1):
        moved = values.clone()
        moved[neuron] += sign * width
        ends.append(probability(model, step, {layer: moved})[0])
    return (ends[0] - ends[1]) / (2 * width)


@pytest.mark.quick(1)
def test_cuts_in_several_layers_cost_what_hooks_say(encoder):
    steps = encoder.steps(PROMPT)
    for step, own in zip(steps, asked(encoder), strict=True):
        record = trace(encoder, StepBatch.of(encoder, [step]))
        _, neurons = probability(encoder, own)
        first, last = neurons[0].clone(), neurons[1].clone()
        first[3], last[5] = 0, 0
        found = replay_cut(record, [(0, ((0, 3),)), (0, ((1, 5),))])
        for cut, edits in zip(found, ({0: first}, {1: last}), strict=True):
            assert float(cut) == pytest.approx(probability(encoder, own, edits)[0], rel=1e-10)


def test_suppression_acts_at_the_mark(encoder):
    step, own = encoder.steps(PROMPT)[0], asked(encoder)[0]
    values = probability(encoder, own)[1][1]
    values[[2, 7]] = 0
    with encoder.suppress([(1, 2), (1, 7)]):
        found = encoder.run(torch.tensor([step.ids]))[0, -1].softmax(-1)[step.target]
    assert float(found) == pytest.approx(probability(encoder, own, {1: values})[0], rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_them(method):
    for result in attribute(make_tiny("t5:encoder"), PROMPTS, Settings(method=method, cuts=2)):
        assert result.status in USABLE_STATUSES
        assert result.scores.shape == (2, 24)
        assert result.scores.any()


@pytest.mark.slow
def test_joint_scores_sum_to_what_the_neurons_do_together(encoder):
    result = attribute(encoder, [PROMPT], Settings(method="joint", tolerance=1e-6))[0]
    nothing = torch.zeros(encoder.info.neurons, dtype=torch.float64)
    changes = [
        probability(encoder, s)[0] - probability(encoder, s, {0: nothing, 1: nothing})[0] for s in asked(encoder)
    ]
    missed = abs(result.layers.score_sum.sum() - sum(changes) / len(changes))
    assert missed == pytest.approx(result.layers.completeness_error[0], abs=1e-9)
    assert missed <= 0.02 * abs(sum(changes) / len(changes))


@pytest.mark.quick(2)
def test_the_baseline_of_all_tokens_leaves_the_decoders_alone(encoder):
    step, (read, written, _) = encoder.steps(PROMPT)[0], asked(encoder)[0]
    place, seen = read.index(encoder.mark), []
    for i in range(len(read)):
        ids = torch.tensor([[*read[:i], encoder.filler, *read[i + 1 :]]])
        handles = [
            d.register_forward_pre_hook(lambda _, args: seen.append(args[0][0, place]))
            for d in down_projections(encoder)
        ]
        encoder.model(input_ids=ids, decoder_input_ids=torch.tensor([written]))
        for handle in handles:
            handle.remove()
    wanted = torch.stack(seen).unflatten(0, (len(read), -1)).mean(0)
    record = trace(encoder, StepBatch.of(encoder, [step]))
    found = mean_baselines(record, [step], 100, every_token=True).neurons[0]
    assert torch.allclose(found, wanted, atol=1e-12)


@pytest.mark.quick(3)
@pytest.mark.parametrize("start", [0, 1])
def test_rerun_equals_the_whole_model_as_it_is_now(encoder, start):
    """All tokens of the last block too: a change of weights acts on each."""
    batch = StepBatch.of(encoder, [encoder.steps(PROMPT)[1]] * 2)
    record = trace(encoder, batch)
    (fitted,) = make_problem(encoder, [], [PROMPTS[0]]).starting(start).keep
    with neurons_replaced(encoder, {layer: lambda neurons: neurons * 1.5 for layer in range(start, 2)}):
        whole = features_of_ids(encoder, batch.ids, batch.query)
        assert torch.allclose(rerun(record, start), whole, atol=1e-12)
        own = torch.cat([features_of_ids(encoder, record.ids, record.query) for record in fitted.records])
        assert torch.allclose(fitted.logits(start), token_logits(own, *output_matrix(encoder)), atol=1e-12)
    assert not torch.allclose(whole, record.features)


@pytest.mark.slow
def test_a_fit_of_value_vectors_does_in_the_model_what_it_says(encoder):
    """How far the new answer then leads; a random decoder need not be able to say it."""
    index = index_of(encoder, [(layer, neuron) for layer in range(2) for neuron in range(20)])
    wanted = make_prompt("the capital of [X] is [Y] .", "France", "Berlin")
    problem = make_problem(encoder, [wanted], PROMPTS[1:2])
    least, later = (fit(encoder, index, problem, EditSettings(steps=steps)) for steps in (1, 30))
    assert later.lead >= least.lead
    with shifting(encoder, index, later.delta):
        gaps = [_lead(encoder, step) for step in encoder.steps(wanted)]
    assert min(gaps) == pytest.approx(later.lead, abs=1e-9)


def _lead(model, step):
    """Return by how much the gold token's logit leads the best other one."""
    logits = model.run(torch.tensor([step.ids]))[0, -1]
    return float(logits[step.target] - logits.index_fill(0, torch.tensor([step.target]), -torch.inf).max())


def test_no_token_is_promoted_past_the_decoder(encoder):
    assert neuron_tokens(encoder, 0, [1, 2]).num_rows == 0


def test_a_model_of_one_stack_has_no_encoder_to_ask_for(tmp_path, family):
    model = make_model(family, dtype="float32")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=f"Model type '{family}' has no encoder beside a decoder; leave ':encoder' out"
    ):
        load_model(f"{tmp_path}:encoder")


def test_a_saved_folder_holds_both(tmp_path):
    model = make_tiny("mt5", torch.float32)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    both = load_model(str(tmp_path), device="cpu"), load_model(f"{tmp_path}:encoder", device="cpu")
    assert [one.info.kind for one in both] == ["infilling", "reading"]
    assert [one.info.layers for one in both] == [3, 2]
    assert both[0].info.digest == model.info.digest
    assert both[1].info.digest == LanguageModel.wrap(model.model, model.tokenizer, "any:encoder").info.digest
    assert both[1].info.name == f"{tmp_path}:encoder"
