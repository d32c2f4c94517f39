"""Pictures that the templates draw: geometry in the picture's own units, words for those who cannot see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """A layer's number below a picture."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Square:
    """A layer in a row of a heat map: its `opacity` says how much, `hint` says what it stands for."""

    x: float
    width: float
    opacity: float
    hint: str


@dataclass(frozen=True, slots=True)
class Band:
    """A row of a heat map: `label` left of it, `total` right of it; `shared` sets it off."""

    label: str
    total: str
    shared: bool
    y: float
    squares: tuple[Square, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """Rows of squares over the same layers; `hint` describes the picture in words."""

    title: str
    width: float
    height: float
    left: float
    right: float
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Node:
    """A neuron of a graph, and where its name stands."""

    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    label: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A set of neurons in a graph: a line between two, an area between more, the heavier the more it costs."""

    points: str
    opacity: float
    width: float
    hint: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Degenerate sets of a fact in a language."""

    title: str
    size: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG drawn by Altair, with its title, what to see in it, and the address of its numbers."""

    id: str
    title: str
    caption: str
    svg: str
    numbers: str
