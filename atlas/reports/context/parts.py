"""The parts that pages are made of: tables, figures, warnings, names in languages."""

from dataclasses import dataclass


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
class Table:
    """Rows under a heading, with the SQL that made them; `note` says what was left out or how to read it."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sql: str
    note: str


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
