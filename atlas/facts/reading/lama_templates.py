"""LAMA's English templates, by which a data set without ids tells its relations (Petroni et al., EMNLP 2019)."""

import re
from collections.abc import Mapping
from itertools import groupby

from atlas.facts.facts import OBJECT, SUBJECT
from atlas.ids import stable_id

TEMPLATES = {
    "[X] was born in [Y]": "P19",
    "[X] died in [Y]": "P20",
    "[X] is [Y] citizen": "P27",
    "[X] is a [Y]": "P31",
    "The capital of [X] is [Y]": "P36",
    "The official language of [X] is [Y]": "P37",
    "[X] has the position of [Y]": "P39",
    "[X] shares border with [Y]": "P47",
    "[X] works in the field of [Y]": "P101",
    "The native language of [X] is [Y]": "P103",
    "[X] is a [Y] by profession": "P106",
    "[X] works for [Y]": "P108",
    "[X] is owned by [Y]": "P127",
    "[X] plays [Y] music": "P136",
    "[X] is named after [Y]": "P138",
    "[X] is affiliated with the [Y] religion": "P140",
    "The headquarter of [X] is in [Y]": "P159",
    "[X] is produced by [Y]": "P176",
    "[X] is developed by [Y]": "P178",
    "[X] and [Y] are twin cities": "P190",
    "[X] is represented by music label [Y]": "P264",
    "[X] is a subclass of [Y]": "P279",
    "[X] is part of [Y]": "P361",
    "The original language of [X] is [Y]": "P364",
    "[X] was written in [Y]": "P407",
    "[X] plays in [Y] position": "P413",
    "[X] was originally aired on [Y]": "P449",
    "[X] is a member of [Y]": "P463",
    "[X] was created in [Y]": "P495",
    "[X] consists of [Y]": "P527",
    "[X] maintains diplomatic relations with [Y]": "P530",
    "[X] was founded in [Y]": "P740",
    "[X] used to work in [Y]": "P937",
    "[X] is a legal term in [Y]": "P1001",
    "[X] plays [Y]": "P1303",
    "[X] is the capital of [Y]": "P1376",
    "[X] used to communicate in [Y]": "P1412",
}
SHARED = "[X] is located in [Y]"
AFTER = {"P407": "P30", "P1376": "P131", "P136": "P17", "P264": "P276"}
"""Which relation `SHARED` stands for, by the relation before it in LAMA's order."""

_NAME_LENGTH = 60


def relations_of(templates: Mapping[int, str]) -> dict[int, str]:
    """Return each row's relation, given the rows' English templates in the order of the file.

    `SHARED` counts as one of its four relations only where every relation is a single block of rows, as LAMA's
    order has it; where rows were shuffled it keeps a name of its own.
    """
    blocks = [(text, [row for row, _ in rows]) for text, rows in groupby(templates.items(), key=_bare)]
    others = [text for text, _ in blocks if text != SHARED]
    in_order = len(others) == len(set(others))
    relations: dict[int, str] = {}
    before = ""
    for text, rows in blocks:
        told_by_order = AFTER.get(before) if in_order and text == SHARED else None
        before = TEMPLATES.get(text) or told_by_order or name_of(text)
        relations.update(dict.fromkeys(rows, before))
    return relations


def name_of(template: str) -> str:
    """Return a relation name made of a template's words: `x_is_the_mayor_of_y`."""
    words = template.replace(SUBJECT, " x ").replace(OBJECT, " y ").lower()
    name = re.sub(r"\W+", "_", words).strip("_")
    if len(name) <= _NAME_LENGTH:
        return name
    return f"{name[:_NAME_LENGTH]}_{stable_id('template', template) % 10**6:06d}"


def _bare(row: tuple[int, str]) -> str:
    """Return a row's template without its full stop and the space before it."""
    return row[1].rstrip(" .")
