"""The views and macros, one `.sql` file a view: code, made anew whenever their text has changed."""

import hashlib
from functools import cache
from importlib import resources

import duckdb

from atlas import schema

ORDER = (
    "thresholds",
    "chance",
    "fact_language",
    "usage_warning",
    "knowledge_neuron",
    "likn",
    "likn_specificity",
    "different_facts",
    "likn_control",
    "dkn",
    "dkn_control",
    "dkn_summary",
    "relation_dkn",
    "fact_check_metrics",
    "layer_distribution",
    "language_overlap",
    "language_specific_neuron",
    "neuron_summary",
    "comparison",
    "edit_summary",
    "intervention_effect",
    "localisation",
    "cross_lingual",
)
"""The files, each after those that it builds upon."""


MACROS = f"""
-- Whether a probe's status is one of those that have scores.
CREATE OR REPLACE MACRO usable(status) AS {schema.usable("status")};
"""
"""Made from the column dictionary, before all files."""


@cache
def text(name: str) -> str:
    """Return the SQL of one file."""
    return (resources.files(__package__) / f"{name}.sql").read_text(encoding="utf-8")


def digest() -> str:
    """Return a hash of their text, recorded in `atlas_info` as `views`."""
    return hashlib.blake2b("\n".join([MACROS, *map(text, ORDER)]).encode(), digest_size=8).hexdigest()


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views and macros of this version in the open file and record their digest."""
    for statements in (MACROS, *map(text, ORDER)):
        connection.execute(statements)
    connection.execute("DELETE FROM atlas_info WHERE key = 'views'")
    connection.execute("INSERT INTO atlas_info VALUES ('views', ?)", [digest()])


def current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the open file has the views of this version."""
    rows = connection.execute("SELECT value FROM atlas_info WHERE key = 'views'").fetchall()
    return rows == [(digest(),)]
