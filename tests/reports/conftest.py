import pytest

from atlas.reports.charts import layer_chart
from atlas.reports.context import Column, Figure, Page, Section, Table, Warning


def _make_page(text="plain", sections=1):
    """A page where every value that comes from data is `text`."""
    figure = Figure(text, text)
    table = Table("facts", text, (Column(text, False), Column("n", True)), ((text, "1"),), text)
    section = Section(
        text, text, "masked", "amig", "done", "–", (figure,), (Warning("nan", "m", "1"),),
        layer_chart({text: [1, 2], "LIKN": [0, 1]}, "LIKN"), (table, Table("none", "None", (), (), "select")),
    )  # fmt: skip
    return Page(text, "0.1.0", "body {}", (figure,), "1", (section,) * sections)


@pytest.fixture(scope="session")
def make_page():
    return _make_page
