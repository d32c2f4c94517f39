"""Neurons at the subject's last token, against hand-written hooks and gradients that know nothing of the engine."""

from importlib import import_module
from importlib.util import find_spec

import pytest
import torch
from tiny import make_model, make_prompt
from tiny_families import make_tiny

from atlas.attribution import Settings, attribute

peers = import_module("knowledge_neurons") if find_spec("knowledge_neurons") else None
NODES, WEIGHTS = (0.21132486540518713, 0.7886751345948129), (0.5, 0.5)
"""Gauss-Legendre of two nodes."""

CASES = {
    "bert": [
        ("the capital of [X] is [Y] .", "New York", "Paris"),
        ("[Y] is the capital of [X] .", "France", "Paris"),
        ("[X] lies in the [Y] .", "Japan", "United States"),
    ],
    "gpt2": [
        ("the capital of [X] is [Y] .", "New York", "Paris"),
        ("[X] [Y]", "France", "Paris"),
        ("[X] lies in the [Y]", "Japan", "United States"),
    ],
}
"""A subject of several tokens, one after the object or right before it, an answer of several tokens."""


def by_hand(model, template, subject, answer):
    """Return the scores of `kn` at the subject `[layer, neuron]` and F(w), F(0) `[layer]`, means over the answer."""
    found = [one_step(model, *step) for step in written_out(model, template, subject, answer)]
    return [sum(parts) / len(parts) for parts in zip(*found, strict=True)]


def written_out(model, template, subject, answer):
    """Yield ids, the subject's last token, where the answer is read, and the gold token, by pieces of text."""
    tokenizer = model.tokenizer
    before, _, after = template.replace("[X]", subject).partition("[Y]")

    def spelt(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    if model.kind == "causal":
        head = spelt(before.rstrip())
        gold = spelt(before + answer)[len(head) :]
        last = len(spelt(template.partition("[X]")[0] + subject)) - 1
        for t, token in enumerate(gold):
            yield [*head, *gold[:t]], last, len(head) + t - 1, token
        return
    head, gold, tail = [tokenizer.cls_token_id, *spelt(before)], spelt(answer), [*spelt(after), tokenizer.sep_token_id]
    if "[X]" in template.partition("[Y]")[0]:
        last = len(spelt(template.partition("[X]")[0] + subject))
    else:
        last = len(head) + len(gold) + len(spelt((template.partition("[Y]")[2]).partition("[X]")[0] + subject)) - 1
    for t, token in enumerate(gold):
        masks = [tokenizer.mask_token_id] * (len(gold) - t)
        yield [*head, *gold[:t], *masks, *tail], last, len(head) + t, token


def one_step(model, ids, last, read, token):
    rows, ends = [], []
    for layer in range(model.info.layers):
        value = neurons(model, ids, layer, last)
        mean = 0
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            leaf = (node * value).requires_grad_()
            mean += weight * torch.autograd.grad(probability(model, ids, layer, last, read, token, leaf), leaf)[0]
        rows.append(mean * value)
        with torch.no_grad():
            ends.append([probability(model, ids, layer, last, read, token, end) for end in (value, 0 * value)])
    f, low = torch.tensor(ends, dtype=torch.float64).unbind(1)
    return torch.stack(rows), f, low


def neurons(model, ids, layer, last):
    kept = []
    handle = model.down_projection(layer).register_forward_pre_hook(lambda _, args: kept.append(args[0][0, last]))
    model.model(input_ids=torch.tensor([ids]))
    handle.remove()
    return kept[0].detach()


def probability(model, ids, layer, last, read, token, values):
    def put(_, args):
        rows = list(args[0][0])
        rows[last] = values
        return (torch.stack(rows)[None],)

    handle = model.down_projection(layer).register_forward_pre_hook(put)
    logits = model.model(input_ids=torch.tensor([ids])).logits
    handle.remove()
    return logits[0, read].softmax(-1)[token]


@pytest.mark.quick(2)
@pytest.mark.parametrize(("family", "case"), [(name, case) for name, own in CASES.items() for case in own], ids=str)
def test_scores_at_the_subject_equal_hand_written_hooks(family, case):
    model = make_model(family)
    scores, f, low = by_hand(model, *case)
    found = attribute(
        model, [make_prompt(*case)], Settings(method="kn", rule="gauss-legendre", nodes=2, max_nodes=2, at="subject")
    )[0]
    assert torch.allclose(torch.tensor(found.scores, dtype=torch.float64), scores, rtol=1e-5, atol=1e-7 * scores.max())
    assert torch.allclose(torch.tensor(found.layers.f), f, rtol=1e-10, atol=0)
    assert torch.allclose(torch.tensor(found.layers.f_baseline), low, rtol=1e-10, atol=0)


def test_at_the_query_nothing_is_else_and_where_both_are_one_token_both_are_equal():
    model = make_model("gpt2")
    prompt = make_prompt("[X] [Y]", "France", "Paris")
    query, subject = (attribute(model, [prompt], Settings(method="kn", at=at))[0] for at in ("query", "subject"))
    assert query.layers.f == pytest.approx(subject.layers.f, rel=1e-12)
    first = model.steps(prompt, "subject")[0]
    assert first.at == first.query == first.subject


def published(model, step):
    """Return what EleutherAI's package gives `[layer, neuron]`, its loop told of the subject's place by its own hooks.

    It reads the answer where it patches: so the answer's logits are laid there. In GPT-2 it would hook neurons before
    the activation; it is told to hook the activation.
    """
    peer = peers.KnowledgeNeurons(model.model, model.tokenizer, "bert" if model.kind == "masked" else "gpt2", "cpu")
    if model.kind == "causal":
        peer.input_ff_attr = "mlp.act"
    ids = torch.tensor([step.ids])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    inputs = inputs if model.kind == "masked" else {name: inputs[name] for name in ("input_ids", "attention_mask")}
    peer._prepare_inputs = lambda *_, **__: (inputs, step.subject, step.target)

    def laid(_, __, output):
        output.logits = output.logits.index_copy(1, torch.tensor([step.subject]), output.logits[:, step.query, None])

    handle = model.model.register_forward_hook(laid)
    scores = peer.get_scores("France", "Paris", batch_size=20, steps=20, pbar=False)
    handle.remove()
    return scores.detach()


@pytest.mark.skipif(peers is None, reason="needs knowledge-neurons: pip install 'neuron-atlas[bench]'")
@pytest.mark.parametrize(("family", "case"), [(name, case) for name, own in CASES.items() for case in own[:2]], ids=str)
def test_scores_at_the_subject_equal_the_published_package(family, case):
    model, prompt = make_model(family), make_prompt(*case)
    scores = torch.stack([published(model, step) for step in model.steps(prompt, "subject")]).mean(0)
    (found,) = attribute(model, [prompt], Settings(method="kn", rule="peer-20", at="subject"))
    assert abs(torch.tensor(found.scores) - scores).max() < 1e-5 * scores.abs().max()
    assert (scores.abs().max(-1).values > 1e-6 * scores.abs().max()).sum() >= model.info.layers - 1


@pytest.mark.parametrize("method", ["amig", "amig-mean", "kn", "joint"])
def test_the_last_block_of_a_masked_model_writes_too_late(method):
    """Nobody reads the subject's token behind it, so its neurons carry nothing and the layer is complete."""
    model = make_model("bert")
    found = attribute(model, [make_prompt(*CASES["bert"][0])], Settings(method=method, at="subject"))[0]
    assert found.status == "ok"
    assert abs(found.scores[-1]).max() < 1e-12 < abs(found.scores[0]).max()


def test_a_prompt_without_a_place_of_the_subject_is_counted_not_scored(tiny):
    usable, missing = make_prompt("[X] is [Y]", "France", "Paris"), make_prompt("Here is [Y]", "France", "Paris")
    found = attribute(tiny, [usable, missing], Settings(method="kn", at="subject"))
    assert [result.status for result in found] == ["ok", "no_subject"]
    assert found[1].scores is None


def test_in_a_decoder_beside_an_encoder_steps_of_one_shape_alone_run_together():
    """The other prompt's steps stand between, as far from the query as one and of the shape of another."""
    model, settings = make_tiny("bart"), Settings(method="gradient", at="subject")
    one, other = (
        make_prompt("[X] has the capital [Y]", "France", "Paris"),
        make_prompt("[X] is [Y]", "New York", "United States"),
    )
    together, alone = attribute(model, [one, other], settings), attribute(model, [one], settings)
    assert abs(together[0].scores - alone[0].scores).max() <= 1e-6 * abs(alone[0].scores).max()
