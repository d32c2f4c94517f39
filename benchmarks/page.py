"""The page of benchmarks: sections measured one by one, kept as JSON beside the page and shown together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import Table

HEAD = """# Benchmarks

The attribution engine beside two other packages, beside the machine's own matrix product, and as a job grows. Models
have random weights of real sizes where no trained ones are named; prompts are BMLAMA17's. Over each section stands the
command that measured it; `python -m benchmarks.attribution --write docs` measures all, `--quick` prints the ratios.
Machines of one name are not equally fast: compare seconds within a section alone.
"""
PLOT = "![growth](benchmarks.svg)\n"


@dataclass(frozen=True)
class Measured:
    """A section's tables, and where and how they were measured."""

    machine: str
    command: str
    tables: Sequence[Table]


def update_page(folder: Path, name: str, section: Measured, order: Sequence[str]) -> None:
    """Put a section into `benchmarks.json`, and make `benchmarks.md` and `benchmarks.svg` again."""
    store = folder / "benchmarks.json"
    stored = json.loads(store.read_text()) if store.exists() else {}
    stored[name] = asdict(section)
    stored = {name: stored[name] for name in order if name in stored}
    store.write_text(json.dumps(stored, indent=1) + "\n")
    sections = [_restored(section) for section in stored.values()]
    (folder / "benchmarks.md").write_text(_page(sections, [name for name in order if name not in stored]))
    drawn = [table for section in sections for table in section.tables if table.plot]
    if drawn:
        _draw(folder / "benchmarks.svg", drawn)


def _restored(stored: Mapping[str, Any]) -> Measured:
    return Measured(stored["machine"], stored["command"], [Table(**table) for table in stored["tables"]])


def _page(sections: Sequence[Measured], missing: Sequence[str]) -> str:
    machines = list(dict.fromkeys(section.machine for section in sections))
    parts = [HEAD, f"Machine: {'; '.join(machines)}.\n"]
    if not any("NVIDIA" in machine for machine in machines):
        parts.append(
            "Nothing here was measured on a GPU. `python -m benchmarks.gpu` prints one's table,\n"
            "no row begun after eight minutes:\n"
            "`kn`, `amig-mean`, `amig` and knock-outs in float32 and bfloat16, with peak memory.\n"
        )
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.\n")
    for section in sections:
        parts += [f"    {section.command}\n", *(table.text() for table in section.tables)]
        if PLOT not in parts and any(table.plot for table in section.tables):
            parts.append(PLOT)
    return "\n".join(parts)


def _draw(path: Path, tables: Sequence[Table]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "atlas"
    from matplotlib import pyplot

    rows = -(-len(tables) // 3)
    figure, axes = pyplot.subplots(rows, 3, figsize=(9.6, 2.8 * rows), squeeze=False)
    for axis in axes.flat[len(tables) :]:
        axis.remove()
    for axis, table in zip(axes.flat, tables, strict=False):
        x, y = table.plot or ("", "")
        axis.margins(y=0.2)
        axis.plot(table.column(x), table.column(y), marker="o")
        axis.set(xlabel=x, ylabel=y, title=table.title.split(",")[0].split(" (")[0], ylim=(0, None))
        axis.title.set_fontsize(8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
