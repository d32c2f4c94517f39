"""The bundled facts: countries and cities in six languages and four scripts.

Tab-separated files beside this module, without quoting: `labels.tsv` (what each key is called in each
language), `facts.tsv` (relation, subject, object, as keys), `templates.tsv` and `relations.tsv`.
Relations carry Wikidata's property ids. Written from general knowledge for this package.
"""

import csv
from functools import cache
from importlib.resources import files

from atlas.facts.facts import Fact, FactSet, Label, Template

LANGUAGES = ("en", "fr", "de", "zh", "ru", "ar")
SOURCE = "bundled"
EXAMPLES = (Fact("P36", "france", "paris", {}).id,)
"""Facts that the first pages of the docs ask about."""


@cache
def load() -> FactSet:
    """Return the bundled facts in the order of `facts.tsv`: all about one country stands together."""
    labels = {row["key"]: row for row in _rows("labels.tsv")}
    return FactSet(
        source=SOURCE,
        facts=tuple(_fact(row, labels) for row in _rows("facts.tsv")),
        templates=tuple(_template(row) for row in _rows("templates.tsv")),
        relation_names={row["relation"]: row["name"] for row in _rows("relations.tsv")},
    )


def _fact(row: dict[str, str], labels: dict[str, dict[str, str]]) -> Fact:
    subject, object_ = labels[row["subject"]], labels[row["object"]]
    names = {language: Label(subject[language], object_[language]) for language in LANGUAGES}
    return Fact(row["relation"], row["subject"], row["object"], names)


def _template(row: dict[str, str]) -> Template:
    return Template(row["relation"], row["language"], row["text"], held_out=row["held_out"] == "1")


def _rows(name: str) -> list[dict[str, str]]:
    with files(__package__).joinpath(name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
