"""An atlas of a planted model, ready to check claims."""

from dataclasses import replace

import pytest
import transformers

import atlas
from atlas.attribution import Settings, attribute
from atlas.attribution.rows import to_tables
from atlas.checking.job import CheckOptions
from atlas.knockouts.job import KnockoutOptions, knockout
from atlas.planted import Circuit, PlantConfig, plant

FACTS = 16


@pytest.fixture(scope="session")
def options(tmp_path_factory):
    """Options of an atlas whose facts are degenerate pairs in a planted model; every second is held by one neuron."""
    folder = tmp_path_factory.mktemp("check")
    circuits = [
        Circuit("degenerate", fact, layers=(1, 1)) if fact % 2 else Circuit("independent", fact)
        for fact in range(FACTS)
    ]
    planted = plant(PlantConfig(languages=("en", "de")), circuits, seed=0)
    name, db = str(folder / "model"), folder / "check.duckdb"
    transformers.utils.logging.disable_progress_bar()
    planted.model.save_pretrained(name)
    planted.tokenizer.save_pretrained(name)
    _attribute(planted, name, db)
    knockout(KnockoutOptions(model=name, db=db, device="cpu", top=6))
    return replace(CheckOptions(model=name, db=db, device="cpu"), templates=1)


def _attribute(planted, name, db):
    model, settings, prompts = planted.language_model(name), Settings(), list(planted.facts.prompts())
    with atlas.open(db, "w") as writer:
        writer.add_facts(planted.facts)
        writer.add_prompts(prompts)
        run = writer.start_run(
            model=writer.add_model(model.info.row()), method="amig", settings=settings.model_dump(mode="json"), seed=0,
            versions={},
        )  # fmt: skip
        writer.load_batch(to_tables(run, attribute(model, prompts, settings), settings.floor))
        writer.finish_run(run)


@pytest.fixture(scope="session")
def facts(options):
    """Rows of the atlas's labels with their split."""
    with atlas.open(options.db) as opened:
        return opened.sql(
            "SELECT s.relation, s.split, l.* FROM fact_label AS l JOIN fact_split AS s USING (fact) "
            "ORDER BY s.relation, l.fact, l.language"
        ).to_pylist()
