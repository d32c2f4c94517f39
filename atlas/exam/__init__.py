"""The exam of the scorers: settings of planted models, marks for what was found, tables and a figure (METHOD 7)."""

from atlas.exam.figure import figure
from atlas.exam.grid import Setting, base_setting, standard_grid
from atlas.exam.marking import Found, Mark, mark
from atlas.exam.results import Failure, Row, all_rows, by_circuit, by_setting
from atlas.exam.sweeping import Swept, area, by_area

__all__ = [
    "Failure",
    "Found",
    "Mark",
    "Row",
    "Setting",
    "Swept",
    "all_rows",
    "area",
    "base_setting",
    "by_area",
    "by_circuit",
    "by_setting",
    "figure",
    "mark",
    "standard_grid",
]
