"""Pages as a reader's browser takes them: tags, attributes, text, tables."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input"}


@dataclass
class Table:
    """A table with the SQL that stands below it."""

    name: str
    head: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    sql: str = ""


class Parsed(HTMLParser):
    """Collects tags, attributes, text and tables; asserts that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text, self.tables = [], [], [], []
        self._into = None
        self.feed(text)
        assert self.open == []

    @property
    def addresses(self):
        return [attributes[name] for _, attributes in self.seen for name in ("href", "src") if name in attributes]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.seen if "id" in attributes]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.seen.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Table(attributes["data-name"]))
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1].rows.append([])
        elif tag in ("th", "td"):
            row = self.tables[-1].head if tag == "th" else self.tables[-1].rows[-1]
            row.append("")
            if tag == "th":
                self.tables[-1].titles.append(attributes.get("title", ""))
            self._into = row
            self._exact = attributes.get("data-v")

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("th", "td"):
            self._into[-1] = self._into[-1].strip() if self._exact is None else self._exact
            self._into = None

    def handle_data(self, data):
        self.text.append(data)
        if self._into is not None:
            self._into[-1] += data
        elif "pre" in self.open and self.tables:
            self.tables[-1].sql += data
