"""What thresholds can be, in a lookup and in a definition alike."""

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import Any

from atlas import schema
from atlas.errors import UsageError
from atlas.matching import check_share, check_whole, option

_WORDS = {"normalization": schema.NORMALIZATIONS, "replace": schema.REPLACES}


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return thresholds, words among them as they are spelled; raises UsageError for what nothing can be held to."""
    for name in ("tau", "share", "relation_share"):
        check_share(name, given.get(name))
    for language, tau in dict(given.get("tau_by_language") or {}).items():
        check_share(f"tau of {language}", tau)
    check_whole("min_languages", given.get("min_languages"), 1)
    for name in ("least", "t_low", "t_high"):
        if not ((number := given.get(name)) is None or (isinstance(number, Real) and isfinite(number))):
            raise UsageError(f"{name} cannot be {number!r}: give a number.")
    for name in ("absolute", "strict", "known"):
        if not isinstance(given.get(name, False), bool):
            raise UsageError(f"{name} cannot be {given[name]!r}: give True or False.")
    words = {name: option(name, str(given[name]), known) for name, known in _WORDS.items() if name in given}
    return {**given, **words}
