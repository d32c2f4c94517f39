"""ParaRel: English paraphrases per relation, facts by their English names.

    trex_lms_vocab/<relation>.jsonl             {"sub_label", "obj_label", ...}
    pattern_data/graphs_json/<relation>.jsonl   {"pattern": "[X] ... [Y]", ...}

either in the folder itself or in its folder `data`. Elazar et al., Measuring and Improving Consistency in
Pretrained Language Models, TACL 2021.
"""

from pathlib import Path

from atlas.facts.reading import files
from atlas.facts.reading.collect import Collector, Place
from atlas.facts.reading.lama import read_lines, relation_files, take_pattern

NAME = "pararel"
LANGUAGE = "en"
SHAPES = ("a folder with trex_lms_vocab/<relation>.jsonl and pattern_data/graphs_json/<relation>.jsonl (ParaRel)",)

_TUPLES = "trex_lms_vocab"
_PATTERNS = "pattern_data/graphs_json"


def fits(path: Path) -> bool:
    """True if `path`, or its folder `data`, holds ParaRel's two folders."""
    return _root(path) is not None


def load(path: Path, into: Collector) -> None:
    """Read the facts and patterns of the wanted relations; the language is always English."""
    root = _root(path) or path
    tuples = relation_files(root / _TUPLES, LANGUAGE, into)
    patterns = relation_files(root / _PATTERNS, LANGUAGE, into)
    into.check()
    for relation, file in tuples:
        read_lines(root, file, relation, LANGUAGE, into, _take)
    for relation, file in patterns:
        read_lines(root, file, relation, LANGUAGE, into, take_pattern)


def _root(path: Path) -> Path | None:
    for root in (path, path / "data"):
        if (root / _TUPLES).is_dir() and (root / _PATTERNS).is_dir():
            return root
    return None


def _take(into: Collector, relation: str, language: str, place: Place, line: bytes) -> None:
    row = files.json_row(line)
    names = files.text_or_none(row, "sub_label"), files.text_or_none(row, "obj_label")
    into.add_fact(place, relation, language, names, names)
