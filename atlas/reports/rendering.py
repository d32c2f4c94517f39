"""From a page's values to HTML: every value is escaped, an unknown one is an error."""

from dataclasses import fields
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from atlas.reports.context import Page


def render(page: Page) -> str:
    """Return the page as HTML."""
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    return environment().get_template(page.template).render(values)


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
