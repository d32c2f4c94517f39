"""Tables of measurements, in a terminal and in a page with its plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Cell = str | int | float


@dataclass(frozen=True)
class Table:
    """A titled table; `plot` names the columns of a line to draw, (x, y), if any."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    plot: tuple[str, str] | None = None

    def text(self) -> str:
        """Return the table in Markdown."""
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_cell(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])


def write_page(folder: Path, machine: str, tables: Sequence[Table]) -> None:
    """Write `benchmarks.md` and, for the tables that grow, `benchmarks.svg` into `folder`."""
    drawn = [table for table in tables if table.plot]
    picture = "![growth](benchmarks.svg)\n\n" if drawn else ""
    body = "\n".join(table.text() for table in tables)
    command = "Made by `python -m benchmarks.attribution --write docs`."
    (folder / "benchmarks.md").write_text(f"# Benchmarks\n\n{command}\n\nMachine: {machine}.\n\n{picture}{body}")
    if drawn:
        _draw(folder / "benchmarks.svg", drawn)


def _draw(path: Path, tables: Sequence[Table]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "atlas"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(tables), figsize=(3.2 * len(tables), 2.8), squeeze=False)
    for axis, table in zip(axes[0], tables, strict=True):
        assert table.plot is not None
        x, y = (list(table.columns).index(name) for name in table.plot)
        axis.plot([float(row[x]) for row in table.rows], [float(row[y]) for row in table.rows], marker="o")
        axis.set(xlabel=table.plot[0], ylabel=table.plot[1], title=table.title, ylim=(0, None))
        axis.title.set_fontsize(8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
