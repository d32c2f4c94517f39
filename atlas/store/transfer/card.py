"""The dataset card of an export: a README.md that says what is in the folder, as the Hugging Face hub reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from atlas import schema

if TYPE_CHECKING:
    from atlas.store.reader import Reader
    from atlas.store.transfer.manifest import File

CARD = "README.md"
_RUNS = """
SELECT model.name AS model, coalesce(model.revision, 'not pinned') AS revision, model.digest, run.method, run.settings,
    run.seed, run.status
FROM run JOIN model USING (model) ORDER BY ALL
"""


def card(opened: Reader, files: Sequence[File]) -> str:
    """Return the card of an export of `opened` in `files`, without licence or names: those are its maker's to add."""
    paths: dict[str, list[File]] = defaultdict(list)
    for file in files:
        paths[file.table].append(file)
    lines = [*_front(paths), *_holds(opened), "", "| table or view | rows | what it holds |", "| --- | --- | --- |"]
    lines += [_row((table, f"{sum(part.rows for part in parts):,}", _meaning(table))) for table, parts in paths.items()]
    return "\n".join([*lines, "", "Made by `atlas export`; `manifest.json` has checksums."]) + "\n"


def _front(paths: Mapping[str, Sequence[File]]) -> Iterator[str]:
    """Yield the lines that the hub reads: which files are which table."""
    yield from ("---", "pretty_name: Knowledge neurons of language models", "tags: [neuron-atlas]", "configs:")
    for table, parts in paths.items():
        yield from (f"- config_name: {table}", "  data_files:", *(f"  - {part.path}" for part in parts))
    yield from ("---", "", "# An atlas of knowledge neurons", "")


def _holds(opened: Reader) -> Iterator[str]:
    """Yield the lines that say of how many facts, in which languages, by which runs."""
    languages = sorted(opened.sql("SELECT language FROM language")["language"].to_pylist())
    facts = opened.one("SELECT count(*) FROM fact")
    yield from (f"Facts: {facts:,}. Languages: {_text(', '.join(languages))}.", "")
    yield from ("| model | revision | weights | method | settings | seed | status |", "|" + " --- |" * 7)
    yield from (_row(list(row.values())) for row in opened.sql(_RUNS).to_pylist())


def _meaning(table: str) -> str:
    return schema.TABLES[table].meaning if table in schema.TABLES else "a view of Neuron Atlas"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_text(str(cell)) for cell in cells) + " |"


def _text(text: str) -> str:
    """Return a text of the atlas, which anyone may have written, as one that Markdown shows as it is."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|!#&$~" else char for char in plain)
