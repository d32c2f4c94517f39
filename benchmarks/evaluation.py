"""The tables of `docs/evaluation.md`, from the files that `atlas evaluate --out docs/evaluation/MODEL` wrote.

Run as `python -m benchmarks.evaluation` to write them into the page anew.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "evaluation.md"
MODELS = ("demo-mgpt", "demo-mbert")
_TABLE = re.compile(r"^(\| neurons .*\n\|[ -|]+\n)(?:\|.*\n)+", re.MULTILINE)

Row = Mapping[str, str]


def page() -> str:
    """Return the page with the tables of every model's section made anew."""
    text = PAGE.read_text("utf-8")
    for model in MODELS:
        before, heading, rest = text.partition(f"\n## {model}\n")
        section, *after = re.split(r"(?=\n## )", rest, maxsplit=1)
        made = iter((_lines(localisation(model)), _lines(cross_lingual(model))))
        text = before + heading + _TABLE.sub(lambda head, made=made: head[1] + next(made), section) + "".join(after)
    return text


def localisation(model: str) -> dict[str, list[str]]:
    """Return the cells of every scorer's line, in the order of the page, and of the neurons of another fact."""
    from atlas import scorers

    rows = _rows(model, "localisation")
    lines = {f"`{name}`": [row for row in rows if (row["method"], row["source"]) == (name, "top")]
             for name in scorers.serving("localisation")}  # fmt: skip
    lines["another fact's (`amig`)"] = [row for row in rows if row["source"] == "other"]
    return {name: _cells(found, "language") for name, found in lines.items()}


def cross_lingual(model: str) -> dict[str, list[str]]:
    """Return the cells of the line of every source of neurons."""
    rows = _rows(model, "cross_lingual")
    return {name: _cells([row for row in rows if holds(row)], "measured") for name, holds in _SOURCES.items()}


_SOURCES: dict[str, Callable[[Row], bool]] = {
    "of the language itself": lambda row: row["source"] == "top" and _languages(row) == [row["measured"]],
    "of another language": lambda row: row["source"] == "top" and _languages(row) != [row["measured"]],
    "of the language and another together": lambda row: row["source"] == "both",
    "LIKN": lambda row: row["source"] == "likn",
    "LIKN of another fact": lambda row: row["source"] == "other",
    "random": lambda row: row["source"] == "random",
}


def _rows(model: str, table: str) -> list[dict[str, str]]:
    with (DOCS / "evaluation" / model / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _languages(row: Row) -> list[str]:
    return re.findall(r"\w+", row["languages"])


def _cells(rows: Sequence[Row], by: str) -> list[str]:
    """Return log p in each language when suppressed, lost, enhanced log odds, and SR of both, lowest to highest."""
    suppressed, enhanced = ([row for row in rows if row["action"] == action] for action in ("suppress", "enhance"))
    numbers = [
        *_means(suppressed, "log_change", by),
        mean(float(row["lost"]) for row in suppressed),
        mean(float(row["log_odds_change"]) for row in enhanced),
    ]
    rates = _means([row for row in rows if row["success_rate_both"]], "success_rate_both", by)
    return [*map(_number, numbers), f"{min(rates):.1f} to {max(rates):.1f}"]


def _means(rows: Sequence[Row], name: str, by: str) -> list[float]:
    """Return the mean of a column in each language."""
    return [mean(float(row[name]) for row in rows if row[by] == code) for code in sorted({row[by] for row in rows})]


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _lines(table: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"| {' | '.join((name, *cells))} |\n" for name, cells in table.items())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
