"""Which runs of an atlas a later job goes by."""

from typing import TYPE_CHECKING

from atlas import scorers
from atlas.errors import UsageError

if TYPE_CHECKING:
    from atlas.store.reader import Reader

UNION = "union"
"""The method of a run that joins the neurons of others."""


def choose_runs(atlas: "Reader", model: int, name: str, method: str | None) -> list[int]:
    """Return the run of `method` on a model, or with None one of each method; of several the one last started.

    Raises UsageError, with the command that makes one, if there is none, and for a method that nobody knows.
    """
    rows = atlas.sql(_NEWEST, {"model": model, "method": method}).to_pylist()
    if not rows:
        wanted, maker = "any method" if method is None else f"method {method!r}", _maker(method, name)
        raise UsageError(
            f"{atlas.path} has no run of {name} with {wanted}; `atlas {maker} --db {atlas.path}` makes one."
        )
    return [row["run"] for row in rows]


def _maker(method: str | None, name: str) -> str:
    """Return the command that makes a run of `method`; a union is joined by the knock-outs."""
    if method not in (None, UNION, *scorers.SCORERS):
        raise UsageError(f"Method {method!r} is not known; choose from {', '.join(scorers.SCORERS)} and {UNION}.")
    if method == UNION:
        return f"knockout --model {name} --from union"
    return f"build --model {name}" + ("" if method is None else f" --method {method}")


_NEWEST = """
SELECT arg_max(run, (started, run)) AS run
FROM run
WHERE model = $model AND (method = $method OR ($method IS NULL AND method <> 'union'))
    AND (method = 'union' OR EXISTS (FROM probe WHERE probe.run = run.run))
GROUP BY method
ORDER BY run
"""
