"""Settings that a user gave, checked: what pydantic complains of, in our words."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atlas.errors import UsageError
from atlas.matching import option

Settings = TypeVar("Settings", bound=BaseModel)

_BOUNDS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
}


def checked(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return the settings of a `kind`; raises UsageError that names the first wrong one as an option."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise UsageError(_first(error)) from error


def _first(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    name = "--" + ".".join(map(str, first["loc"])).replace("_", "-")
    context = first.get("ctx", {})
    if first["type"] in _BOUNDS:
        bound, words = _BOUNDS[first["type"]]
        return f"{name} cannot be {first['input']!r}: choose {words.format(context[bound])}."
    if "because" in context:
        return f"{name} cannot be {first['input']!r}: {context['because']}; choose {context['least']} or more."
    if "among" in context:
        return _unknown(name, str(first["input"]), context["among"])
    if first["type"] == "literal_error":
        known = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return _unknown(name, str(first["input"]), known)
    if first["type"] == "extra_forbidden":
        return f"There is no setting {first['loc'][0]!r}; `--help` lists those there are."
    return f"{name} cannot be {first['input']!r}: choose a value of another kind."


def _unknown(name: str, word: str, known: list[str]) -> str:
    try:
        return f"{name} cannot be {word!r}: write {option(name, word, known)}."
    except UsageError as error:
        return str(error)
