"""The command line reference, made from the commands: `python -m atlas.cli.reference > docs/cli.md`."""

import sys

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from .main import make_app


def reference() -> str:
    """Return docs/cli.md: every command with its arguments, options and defaults."""
    command = get_command(make_app())
    context = typer.Context(command, info_name="atlas")
    return get_docs_for_click(obj=command, ctx=context, name="atlas", title="Command line").strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
