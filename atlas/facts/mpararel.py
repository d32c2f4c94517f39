"""mParaRel: many paraphrases per relation and language, facts with Wikidata ids.

    tuples/<language>/<relation>.jsonl      {"sub_uri", "obj_uri", "sub_label", "obj_label", ...}
    patterns/<language>/<relation>.jsonl    {"pattern": "[X] ... [Y]", ...}

Fierro and Søgaard, Factual Consistency of Multilingual Pretrained Language Models, Findings of ACL 2022.
"""

from pathlib import Path

from atlas.facts.reading.collect import Collector
from atlas.facts.reading.lama import language_folders, read_lines, relation_files, take_pattern, take_tuple

NAME = "mpararel"
SHAPES = ("a folder with tuples/<language>/<relation>.jsonl and patterns/<language>/<relation>.jsonl (mParaRel)",)


def fits(path: Path) -> bool:
    """True if `path` is a folder with `tuples` and `patterns`."""
    return (path / "tuples").is_dir() and (path / "patterns").is_dir()


def load(path: Path, into: Collector) -> None:
    """Read the tuples and patterns of the wanted languages and relations."""
    for part, take in (("tuples", take_tuple), ("patterns", take_pattern)):
        folders = language_folders(path / part, into)
        found = [(folder.name, *item) for folder in folders for item in relation_files(folder, folder.name, into)]
        into.check()
        for language, relation, file in found:
            read_lines(path, file, relation, language, into, take)
