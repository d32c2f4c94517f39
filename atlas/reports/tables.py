"""From rows of a query to a page's table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from atlas import schema
from atlas.reports import addresses
from atlas.reports.cells import cell
from atlas.reports.context.parts import Cell, Column, Link, Table
from atlas.reports.query import Query, Row
from atlas.store.meanings import DERIVED

if TYPE_CHECKING:
    from atlas.reports.snapshot import Snapshot

_TABLE_MEANINGS = {column.name: column.meaning for table in schema.TABLES.values() for column in table.columns}
_ENDS = {"low": "lower end of its 95 % interval", "high": "upper end of its 95 % interval"}


class Tables:
    """Makes the tables of one page, whose links start at `root`."""

    def __init__(self, snapshot: "Snapshot", root: str) -> None:
        self._snapshot = snapshot
        self._root = root

    def table(self, query: Query, rows: Sequence[Row], bound: Mapping[str, object], *, note: str = "") -> Table:
        """Return the table of `rows`, made by `query` with the page's values `bound`; `note` stands in for its own."""
        identity = f"{query.name}-{bound['run']}" if "run" in bound else query.name
        names = [name for name in (rows[0] if rows else ()) if name not in query.hidden]
        columns = tuple(column(name, rows) for name in names)
        cells = tuple(tuple(self.cell(name, row[name], row) for name in names) for row in rows)
        return Table(identity, query.title, columns, cells, query.of(bound), note or query.note)

    def cell(self, column: str, value: object, row: Row) -> Cell:
        """Return the cell of a value; names of things that have pages lead to them."""
        if column == "fact" and isinstance(value, int):
            return self.fact(value)
        if column == "relation" and isinstance(value, str):
            return self._linked(value, addresses.relation(value), value in self._snapshot.with_page)
        if column in ("language", "language_a", "language_b", "measured") and isinstance(value, str):
            return self._linked(value, addresses.language(value), value in self._snapshot.languages)
        if column == "neuron" and isinstance(value, int):
            place = (row["layer"], value)
            return self._linked(str(value), addresses.neuron(*place), place in self._snapshot.neurons)
        if column == "partner" and isinstance(value, int):
            place = (row["partner_layer"], value)
            return self._linked(str(value), addresses.neuron(*place), place in self._snapshot.neurons)
        if column == "edit" and isinstance(value, int):
            return self._linked(str(value), addresses.edit(value), value in self._snapshot.edits)
        if column == "text" and isinstance(value, str) and "language" in row:  # a token's text is no prompt
            return self._prompt(value, row)
        return cell(column, value)

    def _prompt(self, text: str, row: Row) -> Cell:
        """Return a prompt or template in its language, with the answer, if the row has one, in its place."""
        language = self._snapshot.languages[row["language"]]
        answer = row.get("answer", "")
        before, _, after = text.partition("[Y]") if answer else (text, "", "")
        return Cell(
            before,
            text if answer else "",
            lang=addresses.tag(language.code),
            rtl=language.rtl,
            answer=answer,
            tail=after,
        )

    def fact(self, identity: int) -> Cell:
        """Return a fact by its name, with a link if it has a page."""
        name = self._snapshot.facts[identity]
        href = self._root + addresses.fact(identity) if name.has_page else ""
        text = f"{name.subject.text} → {name.object.text}"
        return Cell(text, str(identity), href, name.subject.lang, name.subject.rtl)

    def language(self, code: str) -> Link:
        """Return a language by its name, with a link to its page."""
        known = self._snapshot.languages.get(code)
        return Link(known.name, self._root + addresses.language(code)) if known else Link(code, "")

    def relation(self, code: str) -> Link:
        """Return a relation by what it says, with a link to its page."""
        there = code in self._snapshot.with_page
        return Link(self._snapshot.relations.get(code, code), self._root + addresses.relation(code) if there else "")

    def neuron(self, layer: int, neuron: int) -> Link:
        """Return a neuron by its place, with a link if it has a page."""
        there = (layer, neuron) in self._snapshot.neurons
        return Link(f"L{layer} · {neuron}", self._root + addresses.neuron(layer, neuron) if there else "")

    def edit(self, identity: int) -> Link:
        """Return an edit by its id, with a link if it has a page."""
        there = identity in self._snapshot.edits
        return Link(str(identity), self._root + addresses.edit(identity) if there else "")

    def _linked(self, text: str, address: str, there: bool) -> Cell:
        return Cell(text, href=self._root + address if there else "")


def column(name: str, rows: Sequence[Row]) -> Column:
    """Return a column with what the dictionary says of it; it holds numbers if all its values are numbers."""
    values = [row[name] for row in rows if row[name] is not None]
    numeric = name not in ("fact", "run", "edit") and bool(values) and all(_is_number(value) for value in values)
    return Column(name.replace("_", " "), meaning(name), numeric)


def meaning(name: str) -> str:
    """Return what a column means, empty if the dictionary does not have it."""
    base, _, end = name.rpartition("_")
    if end in _ENDS and base:
        return f"{meaning(base)}: {_ENDS[end]}"
    return DERIVED.get(name) or _TABLE_MEANINGS.get(name, "")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
