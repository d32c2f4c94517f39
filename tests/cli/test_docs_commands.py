"""What the docs say to type: every command parses as it stands, and every query runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

import atlas
from atlas.cli.main import make_app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "cli.md")]
COMMAND = re.compile(r"^(?: {4}|\$ )?(?:\.venv/bin/)?(atlas [a-z](?:.*\\\n)*.*)$", re.MULTILINE)
BLOCKS = re.compile(r"^```(?:bash|console)\n(.*?)^```|((?:^ {4}\S.*\n)+)", re.MULTILINE | re.DOTALL)
PLACES = {"RUN": "7", "SIZE": "4GB"}
"""What stands in the docs for a number or a size of one's own."""


def _commands():
    for page in PAGES:
        for block in BLOCKS.findall(page.read_text("utf-8")):
            for command in COMMAND.findall("".join(block)):
                yield page.name, command.replace("\\\n", " ")


COMMANDS = [pytest.param(words, id=f"{page}: {words[:60]}") for page, words in _commands()]


def _words(command):
    own = shlex.split(command, comments=True)[1:]
    end = next((place for place, word in enumerate(own) if word in {"&&", "|", ";"} or word.startswith("2>")), len(own))
    return [PLACES.get(word, word) for word in own[:end]]


@pytest.fixture(scope="module")
def command():
    return get_command(make_app())


def test_there_are_commands():
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_the_docs_parses(command, words):
    own, rest, context = command, _words(words), None
    while own is not None:
        context = own.make_context(own.name, rest, parent=context)  # raises where an option or argument is not there
        rest = [*context._protected_args, *context.args]
        own, rest = own.resolve_command(context, rest)[1:] if rest and hasattr(own, "commands") else (None, rest)
    assert rest == []


QUERIES = [case for case in COMMANDS if _words(case.values[0])[:1] == ["sql"] and "edit" not in case.values[0]]


@pytest.mark.quick(1)
@pytest.mark.parametrize("words", QUERIES)
def test_a_query_of_the_docs_runs(one_built, words):
    queries = [word for word in _words(words)[1:] if " " in word]
    with atlas.open(one_built) as opened:
        for query in queries:
            opened.sql(query.replace("ID", "7"))
