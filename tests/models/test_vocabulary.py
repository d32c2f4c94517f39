"""Rows of the embeddings that are no token's, and the names of tokens."""

import pytest
import torch
from tiny import MAKERS, PROMPTS, make_gpt2_tokenizer, make_model, make_prompt

from atlas.attribution import Settings, attribute
from atlas.engine.answers import Case, measure
from atlas.engine.value_vectors import neuron_tokens
from atlas.models import LanguageModel

PADDING = 13


def padded(family):
    """A model with more rows than tokens, whose rows beyond the tokens always have the largest logits."""
    make_tokenizer, make = MAKERS[family]
    tokenizer = make_tokenizer()
    model = make(tokenizer)
    model.resize_token_embeddings(len(tokenizer) + PADDING)
    with torch.no_grad():
        head = model.get_output_embeddings()
        head.weight[len(tokenizer) :] = 0.01 * torch.randn(PADDING, head.weight.shape[1])
        head.bias = torch.nn.Parameter(torch.zeros(len(head.weight)))
        head.bias[len(tokenizer) :] = 50.0
    return LanguageModel.wrap(model.double(), tokenizer, "padded")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_prediction_names_a_token_and_ranks_count_tokens(family):
    model = padded(family)
    prompt = PROMPTS[1]
    (found,) = attribute(model, [prompt], Settings(method="kn"))
    (step, *_) = model.steps(prompt)
    logits = model.run(torch.tensor([step.ids]))[0, step.query]
    tokens = logits[: len(model.tokenizer)]
    assert logits.argmax() >= len(model.tokenizer)
    assert model.tokenizer.get_vocab()[found.prediction] == int(tokens.argmax())
    assert found.prediction_text == model.tokenizer.decode([int(tokens.argmax())]).strip()
    assert found.rank == 1 + int((tokens > tokens[step.target]).sum())
    (measured,) = measure(model, [Case(prompt)])
    assert (measured.best[0], measured.rank) == (int(tokens.argmax()), found.rank)
    shares = [torch.softmax(model.run(torch.tensor([s.ids]))[0, s.query], 0)[s.target] for s in model.steps(prompt)]
    assert measured.probability == pytest.approx(float(torch.stack(shares).prod()))


def test_neurons_promote_tokens_only():
    model = padded("gpt2")
    with torch.no_grad():
        model.model.get_output_embeddings().weight[len(model.tokenizer) :] = 1e3 * model.value_vectors(0)[0]
    rows = neuron_tokens(model, 0, [0], top=10).to_pylist()
    written = model.model.get_output_embeddings().weight[: len(model.tokenizer)] @ model.value_vectors(0)[0]
    order = written.argsort(descending=True)[:10].tolist()
    vocabulary = model.tokenizer.get_vocab()
    assert [vocabulary[row["token"]] for row in rows if row["direction"] == "promotes"] == order


def test_tokens_of_equal_text_have_names_of_their_own():
    model = make_model("gpt2")
    rows = neuron_tokens(model, 0, [0], top=len(model.tokenizer)).to_pylist()
    names = [row["token"] for row in rows if row["direction"] == "promotes"]
    texts = [row["text"] for row in rows if row["direction"] == "promotes"]
    assert len(set(names)) == len(names) == len(make_gpt2_tokenizer())
    assert len(set(texts)) < len(texts)
    assert not any("\ufffd" in name for name in names)


def test_unknown_words_beside_the_answer_are_counted():
    model = make_model("bert")
    found = attribute(
        model,
        [make_prompt("the Ω capital of [X] Ψ is [Y]", "Ξ France", "Paris"), make_prompt("[X] is [Y]", "Ξ", "Paris")],
        Settings(method="kn"),
    )
    assert [(each.status, each.unknown) for each in found] == [("ok", 3), ("unspellable", None)]
