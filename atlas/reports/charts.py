"""Geometry of pictures; the templates draw them."""

from collections.abc import Mapping, Sequence

from atlas.reports.cells import shown
from atlas.reports.context import Bar, Chart, Strip, Tick

LEFT, RIGHT, STEP, TALLEST, GAP = 60.0, 70.0, 40.0, 32.0, 2.0
_BARS = 560.0
_MOST_TICKS = 16


def layer_chart(counts: Mapping[str, Sequence[int]], shared: str) -> Chart:
    """Return strips of bars: for each key of `counts`, how its neurons are spread over the layers.

    Each strip is scaled to its own tallest bar, for the strips differ in size; `shared` is the key of the one
    to be set off. Counts are `[layer]`.
    """
    layers = max(len(row) for row in counts.values())
    slot = _BARS / layers
    strips = tuple(
        _strip(label, row, slot, base=STEP * (place + 1), shared=label == shared)
        for place, (label, row) in enumerate(counts.items())
    )
    return Chart(
        width=LEFT + _BARS + RIGHT,
        height=STEP * len(strips) + 40,
        left=LEFT,
        right=LEFT + _BARS,
        strips=strips,
        ticks=_ticks(layers, slot),
        hint=f"Share of neurons in each of {layers} layers, for {', '.join(counts)}",
    )


def _strip(label: str, row: Sequence[int], slot: float, *, base: float, shared: bool) -> Strip:
    total, tallest = sum(row), max(row, default=0)
    bars = tuple(
        Bar(
            x=round(LEFT + layer * slot + GAP / 2, 2),
            y=round(base - TALLEST * count / tallest, 2),
            width=round(slot - GAP, 2),
            height=round(TALLEST * count / tallest, 2),
            hint=f"{label}, layer {layer}: {count:,} of {total:,} ({count / total:.0%})",
        )
        for layer, count in enumerate(row)
        if count
    )
    return Strip(label, shown(total), shared, base, bars)


def _ticks(layers: int, slot: float) -> tuple[Tick, ...]:
    every = -(-layers // _MOST_TICKS)
    return tuple(Tick(round(LEFT + (layer + 0.5) * slot, 2), str(layer)) for layer in range(0, layers, every))
