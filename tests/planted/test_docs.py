"""The page about planted models says what the code does."""

import re
from pathlib import Path

from atlas.planted.config import DECOY_KINDS, FACT_KINDS
from atlas.planted.writing.members import ADDED

PAGE = (Path(__file__).parents[2] / "docs" / "planted.md").read_text("utf-8")


def test_every_kind_of_circuit_is_explained():
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE)) == {*FACT_KINDS, *DECOY_KINDS}
    assert f"{ADDED:g}" in PAGE


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "planted.md", "exec"), {})
    assert "frozenset" in capsys.readouterr().out
    assert (tmp_path / "planted" / "config.json").exists()
