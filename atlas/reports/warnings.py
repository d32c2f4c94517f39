"""How far the numbers of a run can be trusted: usage warnings, and what went wrong in the run as a whole."""

from dataclasses import dataclass

from atlas.store.warnings import UsageWarning


@dataclass(frozen=True, slots=True)
class Check:
    """A warning and the SQL that counts how often it holds in a run; `$run` is bound."""

    name: str
    meaning: str
    sql: str


def _usage(warning: UsageWarning) -> Check:
    query = f"SELECT count(*) FROM usage_warning WHERE run = $run AND warning = '{warning}'"
    return Check(warning, warning.meaning, query)


CHECKS = (
    *map(_usage, UsageWarning),
    Check(
        "NaN in the output",
        "The model gave no number for these prompts.",
        "SELECT count(*) FROM probe WHERE run = $run AND status = 'nan'",
    ),
    Check(
        "run not finished",
        "The run was cut off: the same `atlas build` goes on.",
        "SELECT count(*) FROM run WHERE run = $run AND status <> 'done'",
    ),
)
