"""The exam of the scorers: settings of planted models, marks for what was found, tables and a figure (METHOD 7)."""

from atlas.exam.figure import figure
from atlas.exam.grid import Setting, base_setting, standard_grid
from atlas.exam.marking import Found, Mark, mark
from atlas.exam.results import Failure, Row, all_rows, by_circuit, by_setting

__all__ = [
    "Failure",
    "Found",
    "Mark",
    "Row",
    "Setting",
    "all_rows",
    "base_setting",
    "by_circuit",
    "by_setting",
    "figure",
    "mark",
    "standard_grid",
]
