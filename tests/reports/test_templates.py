"""The templates use what the page's dataclasses offer: no more, no less; and every value is only text."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError, meta, nodes

from atlas.reports import context
from atlas.reports.context import Page
from atlas.reports.pages import environment, render

VOID = {"meta", "link"}


def _fields():
    classes = [value for value in vars(context).values() if isinstance(value, type) and dataclasses.is_dataclass(value)]
    return {kind: {field.name for field in dataclasses.fields(kind)} for kind in classes}


def _trees():
    made = environment()
    return [made.parse(made.loader.get_source(made, name)[0]) for name in made.list_templates(extensions=["html"])]


def test_the_templates_name_every_value_of_the_page():
    used = {name for tree in _trees() for name in meta.find_undeclared_variables(tree)}
    assert used == _fields()[Page]


def test_the_templates_use_every_attribute_and_no_other():
    used = {node.attr for tree in _trees() for node in tree.find_all(nodes.Getattr)} - {"index0"}
    offered = set().union(*(names for kind, names in _fields().items() if kind is not Page))
    assert used == offered


def test_contexts_are_frozen(make_page):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_page().atlas = "other"


def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError):
        environment().get_template("overview.html").render(atlas="x")


class _Checker(HTMLParser):
    """Collects tags, attributes and text; asserts that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _parse(html):
    checker = _Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


def test_the_page_is_well_formed_and_asks_for_nothing(make_page):
    seen = _parse(render(make_page())).seen
    addresses = [value for _, attributes in seen for name, value in attributes.items() if name in {"src", "href"}]
    assert addresses == ["data:,"]
    assert not any(tag == "script" for tag, _ in seen)


def test_an_atlas_without_runs_has_a_page(make_page):
    assert "No model has been run yet" in render(make_page(sections=0))


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "{{ 7*7 }}",
    "&amp;",
    "a\u202eb",
]


@given(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1)))
def test_text_of_models_and_data_stays_text(make_page, text):
    # HTML itself folds carriage returns and drops NUL; the structure must not change whatever the text is.
    plain, hostile = _parse(render(make_page())), _parse(render(make_page(text)))
    assert [tag for tag, _ in plain.seen] == [tag for tag, _ in hostile.seen]
    if not re.search(r"[\r\x00]", text):
        assert text in "".join(hostile.text)
