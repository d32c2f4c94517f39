"""The reference is what the commands say."""

from pathlib import Path
from typing import get_args

from atlas.attribution import METHODS
from atlas.attribution.settings import Settings
from atlas.building.job import SAMPLE
from atlas.cli.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_docs_cli_is_made_from_the_commands():
    assert (DOCS / "cli.md").read_text("utf-8") == reference(), "run: python -m atlas.cli.reference > docs/cli.md"


def test_options_name_what_the_engine_knows():
    text = reference()
    for method in METHODS:
        assert method in text
    for rule in get_args(Settings.model_fields["rule"].annotation):
        assert rule in text
    assert f"By default {SAMPLE} of the bundled ones" in text


def test_every_setting_has_an_option():
    options = reference().split("## `atlas import`")[0]
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in options
