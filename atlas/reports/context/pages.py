"""The pages of neurons, relations, languages, edits and comparisons, and the overview."""

from dataclasses import dataclass

from atlas.reports.context.parts import Figure, Link, Name, Site, Table
from atlas.reports.context.section import Section


@dataclass(frozen=True, slots=True)
class NeuronPage:
    """A neuron: one coordinate of a layer, in each model that has a fact in it."""

    site: Site
    title: str
    layer: str
    neuron: str
    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class RelationPage:
    """A relation: its facts, its neurons; `parts` leads to the pages that hold further facts."""

    site: Site
    title: str
    code: str
    parts: tuple[Link, ...]
    templates: Table | None
    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class LanguagePage:
    """A language: how well its prompts are answered, where its neurons lie, what it shares with others."""

    site: Site
    title: str
    code: str
    direction: str
    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class EditPage:
    """An edit: what was changed, and what came of it."""

    site: Site
    title: str
    id: str
    subject: Name
    fact: Link
    relation: Link
    old: Name
    new: str
    about: tuple[Figure, ...]
    neurons: tuple[Link, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """The first page: what the atlas holds, and what each model's run found."""

    site: Site
    title: str
    holds: tuple[Figure, ...]
    thresholds: tuple[Figure, ...]
    tables: tuple[Table, ...]
    runs: tuple[Section, ...]
    evaluations: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run: all that is told of it as a whole."""

    site: Site
    title: str
    id: str
    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class EvaluationPage:
    """An evaluation: interventions or verdicts that were measured together."""

    site: Site
    title: str
    kind: str
    id: str
    parts: tuple[Link, ...]
    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Two models side by side, on the facts and languages that both were asked."""

    site: Site
    title: str
    a: str
    b: str
    runs: tuple[Section, ...]
