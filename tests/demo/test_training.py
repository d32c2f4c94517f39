"""The training script, on few facts and for few steps."""

import json
from pathlib import Path

import pytest

from atlas.demo.stages import Recipe
from atlas.demo.train import train
from atlas.facts import FactSet
from atlas.models import load_model

SHORT = Recipe(learn_steps=6, learn_batch=16, share_steps=3, share_facts=4, share_later=4)


@pytest.mark.parametrize("name", ["demo-mbert", "demo-mgpt"])
@pytest.mark.slow
def test_training_is_repeatable_and_its_folder_loads(name: str, few_facts: FactSet, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        train(name, SHORT, tmp_path / folder, threads=1, facts=few_facts)
    first, second = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("a", "b"))
    assert first == second
    model = load_model(str(tmp_path / "a"), device="cpu")
    assert (model.info.layers, model.info.neurons, model.info.hidden) == (4, 512, 128)
    record = json.loads((tmp_path / "a" / "training.json").read_text(encoding="utf-8"))
    assert record["recipe"]["seed"] == 0
    assert record["threads"] == 1
    assert set(record["last_losses"]) == {"learn", "share"}


@pytest.mark.slow
def test_facts_untaught_in_a_language_are_trained_in_the_others(few_facts: FactSet, tmp_path: Path) -> None:
    untaught = {(fact.id, "fr") for fact in few_facts.facts[:3]}
    for folder, left_out in (("all", set()), ("some", untaught)):
        train("demo-mbert", SHORT, tmp_path / folder, threads=1, facts=few_facts, untaught=left_out)
    first, second = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("all", "some"))
    assert first != second
