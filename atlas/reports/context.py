"""What the templates are given: frozen values, ready to be shown. A test compares them with the templates."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its heading, and whether it holds numbers."""

    name: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading, with the SQL that made them."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in the chart's units; `hint` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    hint: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of bars, one a layer: `label` left of it, `total` right of it, standing on `base`."""

    label: str
    total: str
    shared: bool
    base: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A layer's number below the bars."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Strips under each other over the same layers; `hint` describes the picture in words."""

    width: float
    height: float
    left: float
    right: float
    strips: tuple[Strip, ...]
    ticks: tuple[Tick, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Warning:
    """One of the fixed warnings, with how often it holds."""

    name: str
    meaning: str
    count: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """One run."""

    run: str
    model: str
    kind: str
    method: str
    status: str
    started: str
    figures: tuple[Figure, ...]
    warnings: tuple[Warning, ...]
    layers: Chart | None
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The page: the atlas file, the package that wrote it, the thresholds in force, and each run."""

    atlas: str
    version: str
    style: str
    thresholds: tuple[Figure, ...]
    facts: str
    sections: tuple[Section, ...]
