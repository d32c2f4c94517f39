"""Where pages lie in the site. Names come from ids; text of a data set is used only where it is harmless."""

import re
from functools import lru_cache

from atlas.ids import stable_id

_RELATION = re.compile(r"P[0-9]{1,9}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-zA-Z0-9]{2,8}){0,2}")
_RESERVED = {"con", "prn", "aux", "nul"}  # names that Windows keeps for itself

OVERVIEW = "index.html"


def page(folder: str, *ids: int, part: int = 1) -> str:
    """Return the page of what `ids` name, or that of a further part of a long table."""
    return f"{folder}/{'-'.join(map(str, ids))}{_part(part)}.html"


def fact(identity: int) -> str:
    """Return a fact's page."""
    return page("facts", identity)


def neuron(layer: int, index: int) -> str:
    """Return a neuron's page: the same in every report."""
    return f"neurons/{layer}/{index}.html"


def relation(code: str, part: int = 1) -> str:
    """Return a relation's page, or that of a further part of its facts."""
    return f"relations/{_safe(code, _RELATION)}{_part(part)}.html"


def language(code: str) -> str:
    """Return a language's page."""
    return f"languages/{_safe(code, _LANGUAGE)}.html"


def edit(identity: int) -> str:
    """Return an edit's page."""
    return page("edits", identity)


def evaluation(key: str, part: int = 1) -> str:
    """Return the page of a table of an evaluation, such as `localisation-1`, or that of a further part of it."""
    return f"evaluations/{key}{_part(part)}.html"


def root(address: str) -> str:
    """Return the way from a page back to the site's root."""
    return "../" * address.count("/")


def tag(code: str) -> str:
    """Return a language code as the browser's `lang`, empty for a code that is none."""
    return code if _LANGUAGE.fullmatch(code) else ""


def _part(number: int) -> str:
    return "" if number == 1 else f"-{number}"


@lru_cache(4096)
def _safe(code: str, pattern: re.Pattern[str]) -> str:
    """Return the code itself if it is a plain one, otherwise a hash of it."""
    plain = pattern.fullmatch(code) and code not in _RESERVED
    return code if plain else f"{stable_id('page', code):016x}"
