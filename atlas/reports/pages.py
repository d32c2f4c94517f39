"""Writing a report: only into a folder that is new, empty or made by a report before."""

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from atlas.errors import UsageError
from atlas.reports.collect import collect
from atlas.reports.context import Page

if TYPE_CHECKING:
    import atlas

MARK = ".atlas-report.json"
"""The file that says that a report made the folder."""


def write(source: "atlas.Atlas", folder: Path) -> Path:
    """Write the report of `source` into `folder` and return the page's path.

    Raises UsageError if the folder holds files that no report made, or cannot be written.
    """
    _check(folder)
    text = render(collect(source))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / MARK, json.dumps({"made by": "atlas report", "files": ["index.html"]}))
        return _replace(folder / "index.html", text)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; choose another folder.") from error


def render(page: Page) -> str:
    """Return the page as HTML; every value is escaped, an unknown one is an error."""
    template = environment().get_template("overview.html")
    return template.render({field.name: getattr(page, field.name) for field in fields(page)})


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


def _check(folder: Path) -> None:
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name a folder for the report.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise UsageError(
            f"{folder} holds files that no report made, and a report never writes over them; name an empty folder."
        )


def _replace(path: Path, text: str) -> Path:
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    return part.replace(path)
