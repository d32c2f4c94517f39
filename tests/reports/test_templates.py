"""The templates use what the pages' dataclasses offer: no more, no less; and every value is only text."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError, meta, nodes
from reports.html import Parsed

from atlas.reports import context
from atlas.reports.context import EditPage, Figure, Link, Name, Page, Site, Table
from atlas.reports.rendering import environment, render

CONTEXTS = {
    kind: {field.name for field in dataclasses.fields(kind)}
    for kind in vars(context).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}
PAGES = {kind.template: kind for kind in CONTEXTS if issubclass(kind, Page) and "template" in vars(kind)}


TEMPLATES = environment().list_templates(extensions=["html"])


def _tree(name):
    made = environment()
    return made.parse(made.loader.get_source(made, name)[0])


def _undeclared(name):
    macros = {macro.name for macro in _tree("parts.html").find_all(nodes.Macro)}
    named = meta.find_undeclared_variables(_tree(name)) | meta.find_undeclared_variables(_tree("base.html"))
    return named - macros


def test_every_page_has_its_context():
    assert {*TEMPLATES} - {"base.html", "parts.html"} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_template_names_every_value_of_its_page(name):
    assert _undeclared(name) == CONTEXTS[PAGES[name]]


def test_the_templates_use_every_attribute_and_no_other():
    trees = [_tree(name) for name in TEMPLATES]
    used = {node.attr for tree in trees for node in tree.find_all(nodes.Getattr)} - {"index0", "last"}
    offered = set().union(*(names for kind, names in CONTEXTS.items() if not issubclass(kind, Page)))
    assert used == offered


def test_contexts_are_frozen_and_have_slots():
    for kind in CONTEXTS:
        assert kind.__dataclass_params__.frozen, kind
        assert hasattr(kind, "__slots__"), kind


def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError):
        environment().get_template("edit.html").render(id="x")


def _edit_page(text):
    name = Name(text, "en", False)
    table = Table("empty", text, (), (), text, text)
    link = Link(text, "")
    site, figure = Site(text, text, "", True), Figure(text, text, text)
    return EditPage(site, text, text, name, link, link, name, text, (figure,), (link,), (table,))


@pytest.mark.slow
@given(
    st.one_of(st.sampled_from(["</style><b>", "{{ 7*7 }}", "&amp;", "a\u202eb", "' onclick='"]), st.text(min_size=1))
)
def test_no_text_changes_the_structure_of_a_page(text):
    plain, hostile = (Parsed(render(_edit_page(given))) for given in ("plain", text))
    assert [tag for tag, _ in plain.seen] == [tag for tag, _ in hostile.seen]
    assert [set(attributes) for _, attributes in plain.seen] == [set(attributes) for _, attributes in hostile.seen]
