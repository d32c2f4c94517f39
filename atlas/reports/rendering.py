"""From a page's values to HTML: every value is escaped, an unknown one is an error."""

from dataclasses import fields
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, page: Any) -> str:
    """Return the page, a context of `template`, as HTML."""
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """Return the environment that all templates are rendered in."""
    return Environment(
        loader=PackageLoader("atlas.templates", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
