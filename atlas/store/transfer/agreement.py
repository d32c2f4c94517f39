"""What two atlases say of a row that both hold: the same, the same but for rounding, or something else.

What a model computed is rounded by the company that a prompt was computed in (batches, memory, hardware), and a path
whose error lies at the tolerance has more nodes in one company than in another, so numbers that differ by no more than
rounding and the errors that both state are the same; all else is compared to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atlas import schema
from atlas.errors import StoreError
from atlas.store.connection import named

if TYPE_CHECKING:
    from atlas.store.writer import Writer

SCORE_ROUNDING = 1e-5
"""Most by which scores may differ beyond their errors, as a share of the prompt's largest one."""
GRADIENT_ROUNDING = 1e-3
"""The same of scorers that read gradients at one place: those of a confident answer are of what it leaves to others."""
ROUNDING = 1e-4
"""Most by which probabilities, and sums that are told beside them, may differ, as a share of the row's largest."""
OWN = {
    "language": ("name", "rtl"),
    "relation": ("name",),
    "fact_label": ("subject", "object"),
    "model": ("name", "revision"),
    "run": ("versions",),
    # They follow from the model, and are rounded by the company of neurons.
    "neuron_token": ("token", "text", "score"),
    # They are of the prompts that each atlas holds.
    "neuron_activation": ("prompts", "mean", "deviation", "q05", "q25", "q50", "q75", "q95"),
    # They are of the prompts that were there.
    "label_token": ("subject", "object", "scripts"),
    # A run that one of both forgot is none of its own.
    "edit": ("run", "file", "status"),
    # Of claims that were asked it is what a user said.
    "claim": ("truth",),
    # Rows of earlier schemas do not say it.
    "probe": ("argmax",),
    "knockout": ("pool",),
}
"""Columns that say something about a thing and do not make it: where two atlases differ, the first one's stays."""
_SETTLED = {"run": ("status",)}
"""Columns that are settled between both: a run is done only where it is in both."""
_COMPUTED = ("probe", "probe_layer", "attribution", "knockout", "intervention", "verdict")
_SCORES = ("max_score", "score")
_OF_PATHS = {
    "probe": ("max_score",),
    "probe_layer": ("score_sum", "completeness_error", "score_error"),
    "attribution": ("score",),
}
_AT_ONE_PLACE = ("gradient", "greedy")


@dataclass(slots=True)
class Agreement:
    """What the atlas attached as `catalog`, called `name`, says of rows that the one of `writer` holds too.

    Rows by table: those that differ in `rounding`, by how much at most, and those whose names or notes are `differing`.
    """

    writer: Writer
    catalog: str
    name: str
    rounded: dict[str, int] = field(default_factory=dict)
    rounding: dict[str, float] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)

    def check_table(self, table: schema.Table) -> None:
        """Compare the rows of a table by its key; raises StoreError where something else is said of one."""
        both = f"{self.catalog}.{table.name} AS theirs JOIN {table.name} AS ours USING ({named(*table.key)})"
        if table.name == "probe":
            both += " JOIN (SELECT run, prompt, stated FROM common) USING (run, prompt)"
        self._check(table, both, _row_scale(table))
        differing = " OR ".join(map(_differs, OWN.get(table.name, ()))) or "false"
        self.differing[table.name] = self.writer.one(f"SELECT count(*) FROM {both} WHERE {differing}")

    def check_scores(self, table: schema.Table) -> None:
        """Compare the rows of the probes in the table `common`, one by one only where hashes differ; as `check_table`.

        A score that one atlas alone holds is one that the other's rounding took below the run's floor.
        """
        self._find_apart(table)
        chosen = named(*(column.name for column in table.content if column.name not in ("run", "prompt")))
        side = f"SELECT apart.* EXCLUDE (ours, theirs), {chosen} FROM {{}} AS t JOIN apart ON t.place = apart.{{}}"
        both = (
            f"({side.format(table.name, 'ours')}) AS ours FULL JOIN "
            f"({side.format(f'{self.catalog}.{table.name}', 'theirs')}) AS theirs "
            f"USING ({named(*table.key)}, stated, scale, floor)"
        )
        self._check(table, both, "scale" if table.name == "attribution" else _row_scale(table))

    def find_common(self) -> None:
        """Make the table `common` of probes that both hold: run, prompt, the place in either, and the error of scores.

        The error is what both `stated`, or of gradients at one place, which state none, what rounding can be.
        """
        errors = "(SELECT place, max(score_error) FILTER (isfinite(score_error)) AS error FROM {} GROUP BY place)"
        self.writer.sql(f"""
            CREATE OR REPLACE TEMP TABLE common AS
            SELECT run, prompt, ours.place AS ours, theirs.place AS theirs,
                CASE WHEN method IN {_AT_ONE_PLACE} THEN {GRADIENT_ROUNDING} * ours.max_score
                ELSE coalesce(mine.error, 0) + coalesce(other.error, 0) END AS stated
            FROM {self.catalog}.probe AS theirs JOIN probe AS ours USING (run, prompt) JOIN run USING (run)
            LEFT JOIN {errors.format("probe_layer")} AS mine ON mine.place = ours.place
            LEFT JOIN {errors.format(f"{self.catalog}.probe_layer")} AS other ON other.place = theirs.place
        """)

    def _find_apart(self, table: schema.Table) -> None:
        """Make the table `apart` of probes in `common` whose rows differ, with their largest score and floor."""
        values = named(*(column.name for column in table.content if column.name not in ("run", "prompt")))
        each = f"SELECT place, count(*) AS n, sum(hash({values})::HUGEINT) AS h FROM {{}} GROUP BY place"
        self.writer.sql(f"""
            CREATE OR REPLACE TEMP TABLE apart AS
            WITH mine AS ({each.format(table.name + " WHERE place IN (SELECT ours FROM common)")}),
                other AS ({each.format(f"{self.catalog}.{table.name} WHERE place IN (SELECT theirs FROM common)")})
            SELECT run, prompt, ours, theirs, stated, max_score::DOUBLE AS scale,
                coalesce((settings ->> 'floor')::DOUBLE, 0) AS floor
            FROM common JOIN probe USING (run, prompt) JOIN run USING (run)
            LEFT JOIN mine ON mine.place = ours LEFT JOIN other ON other.place = theirs
            WHERE (mine.n, mine.h) IS DISTINCT FROM (other.n, other.h)
        """)

    def _check(self, table: schema.Table, both: str, scale: str) -> None:
        made = _made(table)
        computed = _computed(table)
        if not made:
            return
        shares = {column: _share(column, scale, table.name) for column in computed}
        wrong = {
            column: f"{shares[column]} > {_most(column, scale, table.name)}" if column in shares else _differs(column)
            for column in made
        }
        if "nodes" in wrong:  # other nodes make another sum
            wrong["nodes"] += f" AND NOT ({_differs('score_sum')})"
        self._refuse_wrong(table, both, wrong, shares)
        if shares:
            self._count_rounded(table, both, shares)

    def _refuse_wrong(
        self, table: schema.Table, both: str, wrong: Mapping[str, str], shares: Mapping[str, str]
    ) -> None:
        different = ", ".join(f"CASE WHEN {is_wrong} THEN '{column}' END" for column, is_wrong in wrong.items())
        rows = self.writer.sql(f"""
            SELECT {named(*table.key)}, concat_ws(', ', {different}) AS different, {_largest(shares)} AS share
            FROM {both} WHERE {" OR ".join(wrong.values())} ORDER BY share DESC, {named(*table.key)} LIMIT 1
        """).to_pylist()
        if rows:
            raise self._disagreement(table, rows[0])

    def _count_rounded(self, table: schema.Table, both: str, shares: Mapping[str, str]) -> None:
        rows = self.writer.sql(f"""
            SELECT count(*) AS rows, max({_largest(shares)}) AS share
            FROM {both} WHERE {" OR ".join(map(_differs, shares))}
        """).to_pylist()
        self.rounded[table.name], self.rounding[table.name] = rows[0]["rows"], rows[0]["share"] or 0.0

    def _disagreement(self, table: schema.Table, row: dict[str, object]) -> StoreError:
        different, share = row.pop("different"), row.pop("share")
        by = f" (by {share:.1g} of {scale_of(table.name)}, more than rounding)" if share else ""
        return StoreError(
            f"{self.name} and {self.writer.path} hold the same {table.name} ({self._shown(row)}) with different "
            f"{different}{by}; nothing was added from it: take one of the two, or merge it into another file."
        )

    def _shown(self, key: Mapping[str, object]) -> str:
        """Return a row's key as text, with the text of its prompt."""
        asked = self.writer.sql("SELECT text FROM prompt WHERE prompt = ?", [key.get("prompt")]).to_pylist()
        return ", ".join([shown(key), *(repr(each["text"]) for each in asked)])


def shown(key: Mapping[str, object]) -> str:
    """Return a row's key as text."""
    return ", ".join(f"{name} {value}" for name, value in key.items())


def scale_of(table: str) -> str:
    """Return what differences of a table are shares of, in words."""
    return "the prompt's largest score" if table == "attribution" else "the row's largest number"


def _made(table: schema.Table) -> list[str]:
    """Return the columns that make a thing what it is."""
    others = (*table.key, *OWN.get(table.name, ()), *_SETTLED.get(table.name, ()))
    return [c.name for c in table.content if c.name not in others and c.type != "TIMESTAMP"]


def _computed(table: schema.Table) -> list[str]:
    """Return the columns of numbers that a model computed."""
    if table.name not in _COMPUTED:
        return []
    return [c.name for c in table.content if c.type in ("FLOAT", "DOUBLE")]


def _most(column: str, scale: str, table: str) -> str:
    """Return the SQL of the largest share of its scale by which a column may differ."""
    rounding = SCORE_ROUNDING if column in _SCORES else ROUNDING
    of_path = column in _OF_PATHS.get(table, ())
    return f"{rounding} + coalesce(stated / nullif({_scale(column, scale)}, 0), 0)" if of_path else str(rounding)


def _scale(column: str, scale: str) -> str:
    """Return the SQL of what a column's differences are shares of."""
    largest = 'greatest(abs(ours."max_score"::DOUBLE), abs(theirs."max_score"::DOUBLE))'
    return largest if column == "max_score" else scale


def _row_scale(table: schema.Table) -> str:
    """Return the SQL of the largest number, in absolute value, that either atlas has in a row."""
    numbers = [f'abs({side}."{column}"::DOUBLE)' for column in _computed(table) for side in ("ours", "theirs")]
    return f"greatest({', '.join(numbers)})"


def _share(column: str, scale: str, table: str) -> str:
    """Return the SQL of the difference of a column in shares of `scale`: infinite where one atlas has no value."""
    ours, theirs = f'ours."{column}"::DOUBLE', f'theirs."{column}"::DOUBLE'
    alone = "'inf'::DOUBLE"
    if table == "attribution":
        alone = f"greatest(abs(coalesce({ours}, {theirs})) / {scale} - floor, 0)"
    share = f"coalesce(abs({theirs} - {ours}) / {_scale(column, scale)}, {alone}, 'inf'::DOUBLE)"
    return f"CASE WHEN {_differs(column)} THEN {share} ELSE 0 END"


def _largest(shares: Mapping[str, str]) -> str:
    return f"greatest({', '.join(shares.values())})" if shares else "0"


def _differs(column: str) -> str:
    return f'theirs."{column}" IS DISTINCT FROM ours."{column}"'
