"""Small data sets written to a folder, and facts as plain values to compare with."""

import json
from pathlib import Path

import pytest


def _bytes(content):
    """Bytes and text as they are; a list becomes JSON lines."""
    if isinstance(content, list):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
    return content.encode() if isinstance(content, str) else content


def _plant(root: Path, tree) -> Path:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(content))
    return root


def _row(subject, object_, subject_label, object_label, **more):
    return {"sub_uri": subject, "obj_uri": object_, "sub_label": subject_label, "obj_label": object_label, **more}


MPARAREL = {
    "tuples/en/P36.jsonl": [_row("Q142", "Q90", "France", "Paris", lineid=0), _row("Q183", "Q64", "Germany", "Berlin")],
    "tuples/fr/P36.jsonl": [_row("Q142", "Q90", "France", "Paris"), _row("Q183", "Q64", "Allemagne", "Berlin")],
    "tuples/zh-hans/P36.jsonl": [_row("Q142", "Q90", "法国", "巴黎")],
    "tuples/en/P30.jsonl": [_row("Q142", "Q46", "France", "Europe")],
    "patterns/en/P36.jsonl": [{"pattern": "[X]'s capital is [Y]"}, {"pattern": "[Y] is the capital of [X]"}],
    "patterns/fr/P36.jsonl": [{"pattern": "la capitale de [X] est [Y]", "checked-by-human": True}],
    "patterns/zh-hans/P36.jsonl": [{"pattern": "[X]的首都是[Y]"}, {"pattern": "[X] 的首都是 [Y]"}],
    "patterns/en/P30.jsonl": [{"pattern": "[X] lies in [Y]"}],
}


@pytest.fixture
def plant(tmp_path):
    """Write files, `{name: bytes, text or rows of JSON}`, and return their folder."""
    return lambda tree: _plant(tmp_path / "data", tree)


@pytest.fixture
def row():
    """Make a row of LAMA's relatives from two ids and two labels."""
    return _row


@pytest.fixture
def mpararel(plant):
    """A tiny mParaRel: three facts, three languages, two relations."""
    return plant(MPARAREL)


@pytest.fixture
def told():
    """Return a FactSet's facts and templates as plain values."""

    def tell(found):
        facts = {
            (fact.relation, fact.subject, fact.object): {
                code: (label.subject, label.object) for code, label in fact.labels.items()
            }
            for fact in found.facts
        }
        return facts, {(t.relation, t.language, t.text) for t in found.templates}

    return tell


@pytest.fixture
def skipped():
    """Return how many things a FactSet left out, by reason."""

    def count(found):
        counts = {}
        for skip in found.skips:
            counts[skip.reason] = counts.get(skip.reason, 0) + skip.count
        return counts

    return count
