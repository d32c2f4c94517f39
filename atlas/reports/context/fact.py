"""The page of a fact."""

from dataclasses import dataclass

from atlas.reports.context.parts import Figure, Label, Link, Name, Site, Table, Warning
from atlas.reports.context.pictures import Graph, Heat


@dataclass(frozen=True, slots=True)
class FactSection:
    """A fact in a run."""

    run: str
    model: str
    method: str
    figures: tuple[Figure, ...]
    warnings: tuple[Warning, ...]
    layers: tuple[Heat, ...]
    neurons: Table
    prompts: Table
    graphs: tuple[Graph, ...]
    sets: Table
    effects: Table


@dataclass(frozen=True, slots=True)
class FactPage:
    """A fact: its names, and what each model's run says of it."""

    site: Site
    title: str
    id: str
    subject: Name
    relation: Link
    object: Name
    labels: tuple[Label, ...]
    edits: tuple[Link, ...]
    runs: tuple[FactSection, ...]
