"""The reference is what the commands say."""

import re
from pathlib import Path
from typing import get_args

from atlas.attribution.settings import Settings
from atlas.building.job import SAMPLE
from atlas.cli.reference import reference
from atlas.scorers import SCORERS

DOCS = Path(__file__).parents[2] / "docs"


def test_docs_cli_is_made_from_the_commands():
    assert (DOCS / "cli.md").read_text("utf-8") == reference(), "run: python -m atlas.cli.reference > docs/cli.md"


def test_options_name_what_the_engine_knows():
    text = reference()
    for method in SCORERS:
        assert method in text
    for rule in get_args(Settings.model_fields["rule"].annotation):
        assert rule in text
    assert f"By default {SAMPLE} of the bundled ones" in text


def test_every_model_is_loaded_by_the_same_options():
    shared = ("--model", "--device", "--dtype", "--revision", "--allow-pickle", "--memory", "--threads")
    for command in ("build", "knockout", "check", "evaluate", "edit", "edit apply", "edit undo", "doctor"):
        told = re.split(r"^##+ ", reference().split(f"# `atlas {command}`")[1], flags=re.MULTILINE)[0]
        assert all(f"* `{option}" in told for option in shared), command


def test_the_method_page_names_every_scorer():
    text = (DOCS / "method.md").read_text("utf-8")
    assert all(f"`{name}`" in text for name in SCORERS)


def test_every_setting_has_an_option():
    options = reference().split("## `atlas import`")[0]
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in options
