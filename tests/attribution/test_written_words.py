"""Words of what a decoder has written: gold tokens of the steps before have baselines, as those of the text."""

import numpy as np
import pytest
import torch
from by_hand import hooked
from quick import first_quick
from tiny import make_prompt
from tiny_families import make_tiny

import atlas
from atlas.attribution import Settings, attribute
from atlas.attribution.identity import identity
from atlas.attribution.traits import traits
from atlas.facts import FactSet
from atlas.running.scores import fill_run

PROMPT = make_prompt("the capital of [X] is [Y] .", "France", "Paris Berlin")
END = -1
"""Stands in a step's ids between what the decoder has written and what the encoder reads."""


def spaced(model, places, ids):
    """The places of each word: what begins with a space or behind a special token, and what follows up to the next."""
    words, going_on = [], False
    for place in places:
        token = model.tokenizer.convert_ids_to_tokens(ids[place])
        special = token in model.tokenizer.all_special_tokens
        if not special and (token[0] in "▁Ġ" or not going_on):
            words.append([])
        if not special:
            words[-1].append(place)
        going_on = not special
    return words


def words_by_hand(model, ids):
    """The words of a step: those that the encoder reads, which BART has written again, and the answer's before it."""
    end = ids.index(END)
    written, read = range(end), range(end + 1, len(ids))
    mark = next(place for place in read if ids[place] == model.mark)
    before, after = (spaced(model, part, ids) for part in (range(end + 1, mark), range(mark + 1, len(ids))))
    known = spaced(model, written, ids)
    again = len(before) if model.info.family == "bart" else 0
    both = [a + b for a, b in zip(before[:again], known[:again], strict=True)]
    return [*both, *before[again:], *known[again:], *after]


def f_of(model, step, layer, values):
    """F with the neurons of one layer at the query set to `values`, by hooks."""
    logits = hooked(model, step, lambda own, neurons: neurons.copy_(values) if own == layer else None)
    return float(logits.softmax(-1)[step.target])


def neurons_of(model, step, ids):
    """The neurons of every layer at the query where the model is given `ids`."""
    seen, own = [], type("Asked", (), {"ids": ids, "at": step.at, "query": step.query})
    hooked(model, own, lambda layer, neurons: seen.append(neurons.clone()))
    return torch.stack(seen)


@pytest.mark.parametrize("family", first_quick("t5", "bart"))
def test_gold_tokens_that_a_decoder_has_written_are_words(family):
    """F(w') of `amig` is the mean over words found in the text by their spaces, each replaced by hand."""
    model = make_tiny(family)
    steps, expected = model.steps(PROMPT), []
    assert len(steps) > 1
    for step in steps:
        words = words_by_hand(model, step.ids)
        assert sorted(map(sorted, words)) == sorted(map(sorted, step.words))
        found = []
        for word in words:
            ids = [model.filler if place in word else token for place, token in enumerate(step.ids)]
            baseline = neurons_of(model, step, ids)
            found.append([f_of(model, step, layer, baseline[layer]) for layer in range(model.info.layers)])
        expected.append(np.mean(found, 0))
    result = attribute(model, [PROMPT], Settings(method="amig"))[0]
    assert result.layers.f_baseline == pytest.approx(np.mean(expected, 0), rel=1e-6)


@pytest.mark.parametrize("method", ["amig", "amig-mean", "peel"])
def test_runs_in_which_they_are_words_say_so(method):
    settings = Settings(method=method)
    assert identity(settings, "float32", "mt5")["words"] == identity(settings, "float32", "bart")["words"]
    others = ("mt5:encoder", "gpt2", "bert", "")
    assert not any("words" in identity(settings, "float32", family) for family in others)
    assert not any("words" in identity(Settings(method=other), "float32", "t5") for other in ("kn", "amig-code"))


@pytest.mark.slow
def test_rows_of_a_run_in_which_they_were_not_are_left_alone(tmp_path):
    model, settings = make_tiny("t5", torch.float32), Settings(method="amig-mean")
    with atlas.open(tmp_path / "a.duckdb", "w") as writer:
        writer.add_facts(FactSet("test", [PROMPT.fact], [PROMPT.template]))
        said = identity(settings, "float32", "t5", traits(model))
        said.pop("words")
        own = writer.add_model(model.info.row())
        before = writer.start_run(model=own, method="amig-mean", settings=said, seed=0, versions={})
        after = fill_run(writer, model, [[PROMPT]], settings)
        assert writer.sql("SELECT DISTINCT run FROM probe")["run"].to_pylist() == [after] != [before]
