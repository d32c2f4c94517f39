"""What the templates are given: frozen values, ready to be shown. A test compares them with the templates.

First the parts that pages are made of, then a class for each kind of page, which names its template.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Site:
    """What every page knows: the atlas, the package that wrote it, the way back to the site's root, the menu."""

    atlas: str
    version: str
    root: str
    edits: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A word that leads to a page; without `href` only the word."""

    text: str
    href: str


NOTHING = Link("", "")


@dataclass(frozen=True, slots=True)
class Name:
    """Text in a language: `lang` is its code for the browser, empty if that is not known, `rtl` its direction."""

    text: str
    lang: str
    rtl: bool


@dataclass(frozen=True, slots=True)
class Label:
    """What a fact is called in a language."""

    language: Link
    subject: Name
    object: Name


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its heading, what it means, and whether it holds numbers."""

    name: str
    meaning: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table as a reader sees it.

    `value` has more digits where the text is rounded, `tail` follows the text, such as the rest of a prompt after its
    answer, `share` is a bar's length in percent.
    """

    text: str
    value: str = ""
    href: str = ""
    lang: str = ""
    rtl: bool = False
    answer: str = ""
    tail: str = ""
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG with its title; `look` is its class in the stylesheet.

    Of a picture drawn by Altair, `caption` says what to see in it and `numbers` leads to them.
    """

    title: str
    svg: str
    look: str = "picture"
    id: str = ""
    caption: str = ""
    numbers: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading, with the SQL that made them; `note` says what was left out or how to read it."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sql: str
    note: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name and what it means."""

    label: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Warning:
    """One of the fixed warnings, with where or how often it holds."""

    name: str
    meaning: str
    where: str


@dataclass(frozen=True, slots=True)
class Section:
    """What a page says of one run of a model, with an empty `run` of what holds for all; `more` leads to the rest."""

    id: str
    title: str
    method: str = ""
    run: str = ""
    more: Link = NOTHING
    figures: tuple[Figure, ...] = ()
    warnings: tuple[Warning, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What every page has."""

    template: ClassVar[str]
    site: Site
    title: str


@dataclass(frozen=True, slots=True)
class SectionedPage(Page):
    """A page of sections."""

    runs: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found of a run, in exchanged facts and in its untrained twin."""

    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class OverviewPage(SectionedPage):
    """The first page: what the atlas holds, and what was found, by run, evaluation and pair of models."""

    template: ClassVar[str] = "overview.html"
    evidence: tuple[Evidence, ...]
    holds: tuple[Figure, ...]
    definition: str
    thresholds: tuple[Figure, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class RunPage(SectionedPage):
    """A run: all that is told of it as a whole."""

    template: ClassVar[str] = "run.html"
    id: str


@dataclass(frozen=True, slots=True)
class RelationPage(SectionedPage):
    """A relation: its facts, its neurons; `parts` leads to the pages that hold further facts."""

    template: ClassVar[str] = "relation.html"
    code: str
    parts: tuple[Link, ...]
    templates: Table | None
    unasked: Table | None


@dataclass(frozen=True, slots=True)
class LanguagePage(SectionedPage):
    """A language: how well its prompts are answered, where its neurons lie, what it shares with others."""

    template: ClassVar[str] = "language.html"
    code: str
    direction: str


@dataclass(frozen=True, slots=True)
class FactPage(SectionedPage):
    """A fact: its names, and what each model's run says of it."""

    template: ClassVar[str] = "fact.html"
    id: str
    subject: Name
    relation: Link
    object: Name
    labels: tuple[Label, ...]
    edits: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class NeuronPage(SectionedPage):
    """A neuron: one coordinate of a layer, in each model that has a fact in it."""

    template: ClassVar[str] = "neuron.html"
    layer: str
    neuron: str


@dataclass(frozen=True, slots=True)
class EditPage(Page):
    """An edit: what was changed, and what came of it."""

    template: ClassVar[str] = "edit.html"
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
class EvaluationPage(SectionedPage):
    """An evaluation: interventions or verdicts that were measured together."""

    template: ClassVar[str] = "evaluation.html"
    kind: str
    id: str
    parts: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class ComparisonPage(SectionedPage):
    """Two models side by side, on the facts and languages that both were asked."""

    template: ClassVar[str] = "comparison.html"
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class FailedPage(Page):
    """What stands at the address of a page that could not be made, and why it could not."""

    template: ClassVar[str] = "failed.html"
    why: str


@dataclass(frozen=True, slots=True)
class StudyPage(Page):
    """What a study found, in one file of its own: what was asked, and tables, the claims first."""

    template: ClassVar[str] = "study.html"
    title: str
    lines: tuple[str, ...]
    tables: tuple[Table, ...]
