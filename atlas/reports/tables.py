"""From rows of a query to a page's table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import atlas
from atlas.reports import addresses
from atlas.reports.cells import cell, cut
from atlas.reports.context import Cell, Column, Link, Picture, Site, Table
from atlas.reports.query import Query, Row

if TYPE_CHECKING:
    from atlas.reports.snapshot import Snapshot


class Tables:
    """Makes the tables, links and names of the page at `address`."""

    def __init__(self, snapshot: "Snapshot", address: str) -> None:
        self._snapshot = snapshot
        self._root = addresses.root(address)
        self.site = Site(snapshot.source.path.name, atlas.__version__, self._root, bool(snapshot.edits))

    def table(
        self,
        query: Query,
        rows: Sequence[Row],
        bound: Mapping[str, object],
        *,
        note: str = "",
        pictures: tuple[Picture, ...] = (),
    ) -> Table:
        """Return the table of `rows`, made by `query` with the page's values `bound`; `note` stands in for its own."""
        names = [name for name in (rows[0] if rows else ()) if name not in query.hidden]
        columns = tuple(_column(query, name, rows) for name in names)
        cells = tuple(tuple(self.cell(name, row[name], row) for name in names) for row in rows)
        return Table(query.id(bound), query.title, columns, cells, self.sql(query, bound), note or query.note, pictures)

    def sql(self, query: Query, bound: Mapping[str, object]) -> str:
        """Return a query as the page shows it, with the page's values `bound`."""
        return query.of(self._snapshot.bound(bound))

    def asked(self, query: Query, bound: Mapping[str, object]) -> Table:
        """Return the table of a query that only this page asks."""
        return self.table(query, self._snapshot.rows(query, bound), bound)

    def cell(self, column: str, value: object, row: Row) -> Cell:
        """Return the cell of a value; names of things that have pages lead to them."""
        if column == "fact" and isinstance(value, int):
            return self.fact(value)
        if column == "text" and isinstance(value, str) and "language" in row:  # a token's text is no prompt
            return self._prompt(value, row)
        address = None if value is None else self._address(column, value, row)
        if column == "relation" and "name" not in row and value in self._snapshot.relations:
            return Cell(self._snapshot.relations[value], cut(value), address or "")
        return cell(column, value) if address is None else Cell(cut(str(value)), href=address)

    def _address(self, column: str, value: Any, row: Row) -> str | None:
        """Return the way to the page of what a value of `column` names, empty if it has none, None if no such has."""
        known = self._snapshot
        match column:
            case "relation":
                there, address = value in known.with_page, addresses.relation(value)
            case "language" | "language_a" | "language_b" | "measured":
                there, address = value in known.languages, addresses.language(value)
            case "neuron" | "partner" if isinstance(value, int):
                layer = row["layer" if column == "neuron" else "partner_layer"]
                there, address = (layer, value) in known.neurons, addresses.neuron(layer, value)
            case "edit":
                there, address = value in known.edits, addresses.edit(value)
            case _:
                return None
        return self._root + address if there else ""

    def _prompt(self, text: str, row: Row) -> Cell:
        """Return a prompt or template in its language, with the answer, if the row has one, in its place."""
        language = self._snapshot.languages[row["language"]]
        answer = row.get("answer", "")
        before, _, after = map(cut, text.partition("[Y]") if answer else (text, "", ""))
        value = cut(text) if answer else ""
        return Cell(before, value, "", addresses.tag(language.code), language.rtl, cut(answer), after)

    def fact(self, identity: int) -> Cell:
        """Return a fact by its name, with a link if it has a page."""
        name = self._snapshot.facts[identity]
        href = self._root + addresses.fact(identity) if name.has_page else ""
        return Cell(name.title, str(identity), href, name.subject.lang, name.subject.rtl)

    def language(self, code: str) -> Link:
        """Return a language by its name, with a link to its page."""
        known = self._snapshot.languages.get(code)
        return self._link("language", code, known.name if known else cut(code))

    def relation(self, code: str) -> Link:
        """Return a relation by what it says, with a link to its page."""
        return self._link("relation", code, self._snapshot.relations.get(code, cut(code)))

    def labelled(self, code: str) -> str:
        """Return what a relation is called, and its code, which is no other's."""
        name = self._snapshot.relations.get(code, code)
        return name if name == code else f"{name} ({code})"

    def neuron(self, layer: int, neuron: int) -> Link:
        """Return a neuron by its place, with a link if it has a page."""
        return self._link("neuron", neuron, f"L{layer} · {neuron}", {"layer": layer})

    def edit(self, identity: int) -> Link:
        """Return an edit by its id, with a link if it has a page."""
        return self._link("edit", identity, str(identity))

    def was_cut(self, model: int, *facts: int) -> bool:
        """Return whether neurons of one of `facts` were cut in a model, without which no degenerate set is sought."""
        return any((model, fact) in self._snapshot.cut for fact in facts)

    def _link(self, column: str, value: object, text: str, row: Row | None = None) -> Link:
        return Link(text, self._address(column, value, row or {}) or "")


def _column(query: Query, name: str, rows: Sequence[Row]) -> Column:
    """Return a column of a query's rows with what it means; it holds numbers if all its values are numbers."""
    values = [row[name] for row in rows if row[name] is not None]
    numeric = name not in ("fact", "run", "edit") and bool(values) and all(_is_number(value) for value in values)
    return Column(name.replace("_", " "), query.meaning(name), numeric)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
