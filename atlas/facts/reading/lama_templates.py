"""LAMA's English templates, by which a data set without ids tells its relations (Petroni et al., EMNLP 2019)."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from atlas.facts.facts import OBJECT, SUBJECT
from atlas.facts.reading import texts
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
FOUR = ("P30", "P131", "P17", "P276")
"""The relations that `SHARED` may stand for."""

ORDER = (
    *("P19", "P20", "P279", "P37", "P413", "P449", "P47", "P138", "P364", "P463", "P101", "P106", "P527", "P530"),
    *("P176", "P27", "P407", "P30", "P178", "P1376", "P131", "P1412", "P108", "P136", "P17", "P39", "P264", "P276"),
    *("P937", "P140", "P1303", "P127", "P103", "P190", "P1001", "P31", "P495", "P159", "P36", "P740", "P361"),
)
"""LAMA's own order of the relations, which files made from it keep."""

_NAME_LENGTH = 60


def relations_of(templates: Mapping[int, str]) -> dict[int, str]:
    """Return each row's relation, given the rows' English templates in the order of the file.

    A block of rows with the template `SHARED` is told by its place in `ORDER`, where the blocks are in that
    order and only one of the four relations fits between those before and after; else it gets a name of its own.
    """
    blocks = [(text, [row for row, _ in rows]) for text, rows in groupby(templates.items(), key=_bare)]
    places = [ORDER.index(TEMPLATES[text]) if text in TEMPLATES else None for text, _ in blocks]
    known = [place for place in places if place is not None]
    in_order = known == sorted(set(known))
    relations: dict[int, str] = {}
    for index, (text, rows) in enumerate(blocks):
        ordered = _by_order(places, index) if in_order and text == SHARED else None
        relations.update(dict.fromkeys(rows, TEMPLATES.get(text) or ordered or name_of(text)))
    return relations


def _by_order(places: Sequence[int | None], index: int) -> str | None:
    """Return the one of the four relations that stands between the known blocks before and after a block."""
    before = [place for place in places[:index] if place is not None]
    after = [place for place in places[index + 1 :] if place is not None]
    if not (before and after):
        return None
    fitting = [relation for relation in ORDER[max(before) + 1 : min(after)] if relation in FOUR]
    return fitting[0] if len(fitting) == 1 else None


def name_of(template: str) -> str:
    """Return a relation name made of a template's words: `x_is_the_mayor_of_y`."""
    words = template.replace(SUBJECT, " x ").replace(OBJECT, " y ").lower()
    name = texts.joined(words).strip("_")
    if len(name) <= _NAME_LENGTH:
        return name
    return f"{name[:_NAME_LENGTH]}_{stable_id('template', template) % 10**6:06d}"


def _bare(row: tuple[int, str]) -> str:
    """Return a row's template without its full stop and the space before it."""
    return row[1].rstrip(" .")
