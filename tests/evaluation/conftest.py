"""An atlas of a tiny model and facts of two relations, whose run is made by the evaluation itself."""

import pytest
from tiny import make_model

import atlas
from atlas.facts import Fact, FactSet, Label, Template

LANGUAGES = ("en", "fr")


def make_facts():
    pairs = {
        "P36": (("France", "Paris"), ("Germany", "Berlin"), ("Japan", "capital")),
        "P38": (("France", "currency"), ("Japan", "yen"), ("York", "lies")),
    }
    texts = {"P36": ("the capital of [X] is [Y]", "[X] has the capital [Y]"), "P38": ("the currency of [X] is [Y]",)}
    facts = [
        Fact(relation, subject, answer, {code: Label(subject, answer) for code in LANGUAGES})
        for relation, group in pairs.items()
        for subject, answer in group
    ]
    templates = [
        Template(relation, code, text if code == "en" else f"la {text}")
        for relation, group in texts.items()
        for code in LANGUAGES
        for text in group
    ]
    return FactSet("test", facts, templates)


@pytest.fixture(scope="module")
def facts():
    return make_facts()


@pytest.fixture(scope="module")
def saved(tmp_path_factory, facts, stored):
    """A folder with a tiny model, and an atlas of a run on it."""
    tiny = make_model("bert", "float32")
    return stored(tmp_path_factory.mktemp("evaluation"), tiny.model, tiny.tokenizer, facts)


@pytest.fixture(scope="session")
def stored():
    """Put a model and an atlas of a run on it into a folder, and return the folder."""
    return _stored


def _stored(folder, model, tokenizer, facts):
    from atlas.attribution import Settings, attribute
    from atlas.attribution.identity import identity
    from atlas.attribution.rows import to_tables
    from atlas.models import load_model

    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    model = load_model(str(folder / "model"))
    settings = Settings(method="kn", floor=0.01)
    with atlas.open(folder / "a.duckdb", "w") as writer:
        writer.add_facts(facts)
        writer.add_prompts(facts.prompts())
        run = writer.start_run(
            model=writer.add_model(model.info.row()), method="kn", settings=identity(settings, "float32"), seed=0,
            versions={},
        )  # fmt: skip
        writer.load_batch(to_tables(run, attribute(model, list(facts.prompts()), settings), settings.floor))
        writer.finish_run(run)
    return folder
