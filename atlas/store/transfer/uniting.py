"""The rows of another catalog's tables go into an open atlas where their key is new; what both hold must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from atlas import schema
from atlas.errors import StoreError
from atlas.store import integrity, structure
from atlas.store.connection import Limits, named
from atlas.store.meeting import same_facts
from atlas.store.transfer.agreement import Agreement, shown
from atlas.store.transfer.respelling import other_codes, respelled
from atlas.store.writer import Writer

SCORES = ("probe_layer", "attribution")
"""Tables whose rows hang on a probe by its place."""
_STATUSES = ("done", "interrupted", "failed", "running")


@dataclass(frozen=True, slots=True)
class United:
    """Rows by table: added, there already, and of those the ones that differ and were left.

    `differing` are those with other names or notes, `rounded` those whose numbers are rounded otherwise, `rounding` by
    how much at most: for `attribution` a share of the prompt's largest score, for others of the row's largest number.
    `languages` are those that the atlas has under another code, which they took, and `facts` counts those that it has
    under other keys, which they took.
    """

    source: str
    added: Mapping[str, int]
    there: Mapping[str, int]
    differing: Mapping[str, int]
    rounded: Mapping[str, int]
    rounding: Mapping[str, float]
    languages: Mapping[str, str]
    facts: int


@contextmanager
def target(into: Path, limits: Limits) -> Iterator[Writer]:
    """Open the atlas to add to, made if missing; one that was made goes again where an error left it without rows."""
    made = not into.exists()
    with Writer.at(into, limits) as writer:
        try:
            yield writer
        except BaseException:
            if made and not writer.one("SELECT count(*) FROM language"):
                with suppress(OSError):
                    into.unlink()
            raise


class _WrongRowsError(Exception):
    """Rows that do not pass a check of what an atlas holds."""

    def __init__(self, found: integrity.CheckResult) -> None:
        super().__init__(found.check.name)
        self.found = found


@dataclass(slots=True)
class Union:
    """One source, attached to the connection of `writer` as `catalog`; `name` is what messages call it."""

    writer: Writer
    catalog: str
    name: str
    added: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    agreement: Agreement = field(init=False)

    def run(self) -> United:
        """Add all that is new in one transaction.

        Raises StoreError, with nothing added, where both disagree, for tables that are not an atlas's, and where what
        came in does not pass the checks of `atlas.store.integrity`.
        """
        structure.require_tables(self.writer, self.catalog, self.name)
        codes = other_codes(self.writer, self.catalog)
        facts = same_facts(self.writer, self.catalog, codes)
        with respelled(self.writer, self.catalog, codes, facts) as self.catalog:
            self.agreement = both = Agreement(self.writer, self.catalog, self.name)
            try:
                with self.writer.transaction():
                    self._add_all()
                    self._check_all()
            except _WrongRowsError as wrong:
                raise self._refusal(wrong.found) from None
        added = {name: self.added[name] for name in schema.TABLES if name in self.added}
        return United(self.name, added, self.there, both.differing, both.rounded, both.rounding, codes, len(facts))

    def _add_all(self) -> None:
        for table in schema.TABLES.values():
            if table.name not in (*schema.OF_THE_FILE, "probe", *SCORES):
                self._keyed(table)
        self._later_ends()
        self._probed()

    def _check_all(self) -> None:
        for check in integrity.CHECKS:
            if not check.harmless and not (found := integrity.result(self.writer, check)).ok:
                raise _WrongRowsError(found)

    def _refusal(self, found: integrity.CheckResult) -> StoreError:
        """Return what to say of rows that are wrong once both are together, which were taken out again."""
        if not integrity.result(self.writer, found.check).ok:
            return StoreError(
                f"{self.writer.path} itself holds {found.check.name}, so nothing is added to it; "
                "`atlas doctor` says more."
            )
        first = shown(found.sample.slice(0, 1).to_pylist()[0])
        return StoreError(
            f"{self.name} would bring {found.check.name} ({found.rows:,}, first {first}); nothing was added from it: "
            "take a whole copy of what it was made from."
        )

    def _keyed(self, table: schema.Table) -> None:
        self._check_key(table)
        self.agreement.check_table(table)
        keys = named(*table.key)
        self._add(table.name, f"SELECT * FROM {self.catalog}.{table.name} ANTI JOIN {table.name} USING ({keys})")

    def _probed(self) -> None:
        """Add probes with their layers and scores; their places go on after those in use."""
        probe = schema.TABLES["probe"]
        self._check_key(probe)
        self.agreement.find_common()
        self.agreement.check_table(probe)
        for name in SCORES:
            self.agreement.check_scores(schema.TABLES[name])
        first = self.writer.one("SELECT coalesce(max(place) + 1, 0) FROM probe")
        for name in ("probe", *SCORES):
            self._add(name, self._fresh(schema.TABLES[name], first))

    def _fresh(self, table: schema.Table, first: int) -> str:
        """Return the query of the source's rows that are new, with their new places, in the order of places."""
        rows = f"SELECT * REPLACE ((place + {first})::UINTEGER AS place) FROM {self.catalog}.{table.name}"
        common = self.writer.one("SELECT count(*) FROM common")
        if not (common or self._mixed()):
            return rows
        # A join may lose the order, and an export has a file a run: only such sources have to pay for it.
        new = " WHERE place NOT IN (SELECT theirs FROM common)" if common else ""
        return f"{rows}{new} ORDER BY {', '.join(table.order)}"

    def _mixed(self) -> bool:
        """Return whether the source's probes do not lie in the order of their places."""
        before = f"SELECT place, lag(place) OVER () AS before FROM {self.catalog}.probe"
        return bool(self.writer.one(f"SELECT count(*) FROM ({before}) WHERE before > place"))

    def _add(self, name: str, rows: str) -> None:
        before = self.writer.one(f"SELECT count(*) FROM {self.catalog}.{name}")
        self.added[name] = self.writer.one(f"INSERT INTO {name} BY NAME {rows}")
        self.there[name] = before - self.added[name]

    def _later_ends(self) -> None:
        """Give runs that both hold the earlier start, the worse status and the later end, none while one is running."""
        worst = f"list_position({list(_STATUSES)}, {{}}.status)"
        self.writer.sql(f"""
            UPDATE run SET
                started = least(run.started, theirs.started),
                finished = CASE WHEN 'running' NOT IN (run.status, theirs.status)
                    THEN greatest(run.finished, theirs.finished) END,
                status = {list(_STATUSES)}[greatest({worst.format("run")}, {worst.format("theirs")})]
            FROM {self.catalog}.run AS theirs WHERE theirs.run = run.run
        """)

    def _check_key(self, table: schema.Table) -> None:
        keys = named(*table.key)
        twice = f"SELECT {keys} FROM {self.catalog}.{table.name} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
        if rows := self.writer.sql(twice).to_pylist():
            raise StoreError(f"{self.name} holds a row of {table.name} twice: {shown(rows[0])}; nothing was added.")
