"""The page about planted models says what the code does."""

import re
from pathlib import Path

import pytest

from atlas.attribution import Settings, attribute
from atlas.attribution.rows import to_tables
from atlas.planted.config import DECOY_KINDS, FACT_KINDS, SUPPRESSOR_KINDS
from atlas.planted.writing.members import ADDED, SUPPRESSED

PAGE = (Path(__file__).parents[2] / "docs" / "planted.md").read_text("utf-8")


def test_every_kind_of_circuit_is_explained():
    planted = PAGE.partition("## The exam")[0]
    assert set(re.findall(r"^\| `([a-z ]+)` \|", planted, re.MULTILINE)) == {
        *FACT_KINDS,
        *DECOY_KINDS,
        *SUPPRESSOR_KINDS,
    }
    assert f"{ADDED:g}" in PAGE
    assert f"takes {SUPPRESSED:g} from" in PAGE


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "planted.md", "exec"), {})
    assert "frozenset" in capsys.readouterr().out
    assert (tmp_path / "planted" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("base", ["bert"], indirect=True)
@pytest.mark.parametrize(("kind", "low", "high"), [("backup", 0.0, 0.01), ("knowledge", 0.1, 1.0)])
def test_scores_of_a_backup_are_as_low_as_the_page_says(base, kind, low, high):
    prompts = [prompt for prompt in base.facts.prompts() if base.truth.kinds[prompt.fact.id] == kind]
    settings = Settings(method="amig")
    probes = to_tables(1, attribute(base.language_model(), prompts, settings), settings.floor)["probe"].to_pylist()
    shares = [probe["max_score"] / probe["probability"] for probe in probes]
    assert len(shares) == len(prompts)
    assert low <= min(shares) <= max(shares) < high
