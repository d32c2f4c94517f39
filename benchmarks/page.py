"""The page of benchmarks: sections measured one by one, kept as JSON beside the page and shown together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.tables import Table

HEAD = """# Benchmarks

The attribution engine beside two other packages, beside the machine's own matrix product, and as a job grows. Made by
`python -m benchmarks.attribution --write docs`, or one section at a time with `--only SECTION`; `--quick` prints the
ratios alone. Models have random weights of real sizes where no trained ones are named; prompts are BMLAMA17's.
"""


def update_page(folder: Path, machine: str, section: str, tables: Sequence[Table], order: Sequence[str]) -> None:
    """Put a section's `tables` into `benchmarks.json`, and make `benchmarks.md` and `benchmarks.svg` again."""
    store = folder / "benchmarks.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    known[section] = {"machine": machine, "tables": [asdict(table) for table in tables]}
    known = {name: known[name] for name in order if name in known}
    store.write_text(json.dumps(known, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(_page(known))
    drawn = [table for section in known.values() for table in _tables(section) if table.plot]
    if drawn:
        _draw(folder / "benchmarks.svg", drawn)


def _page(known: Mapping[str, Any]) -> str:
    machines = list(dict.fromkeys(section["machine"] for section in known.values()))
    parts = [HEAD, f"Machine: {'; '.join(machines)}.\n", *_gpu(machines)]
    for section in known.values():
        tables = _tables(section)
        parts += [table.text() for table in tables]
        if any(table.plot for table in tables) and "![growth](benchmarks.svg)\n" not in parts:
            parts.append("![growth](benchmarks.svg)\n")
    return "\n".join(parts)


def _gpu(machines: Sequence[str]) -> list[str]:
    if any("NVIDIA" in machine for machine in machines):
        return []
    return ["Nothing here was measured on a GPU; the same command does so where there is one.\n"]


def _tables(section: Mapping[str, Any]) -> list[Table]:
    return [Table(**table) for table in section["tables"]]


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
        axis.plot(table.column(x), table.column(y), marker="o")
        axis.set(xlabel=x, ylabel=y, title=table.title.split(",")[0], ylim=(0, None))
        axis.title.set_fontsize(8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
