"""The paths of a prompt and of a neuron in `docs/architecture.md` are those that calls take."""

import inspect
import json
import re
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named(section):
    """Return the modules that a section of the page names."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`(atlas/[a-z_/]+\.py)`", text))


@contextmanager
def entered():
    """Collect the files of the functions that are called meanwhile; what an import runs is no function."""
    files = set()

    def follow(frame, event, _):
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            files.add(frame.f_code.co_filename)

    threading.setprofile(follow)
    sys.setprofile(follow)
    try:
        yield files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def missing(files, section):
    paths = {Path(file).relative_to(ROOT).as_posix() for file in files if Path(file).is_relative_to(ROOT)}
    assert len(named(section)) > 6
    return named(section) - paths


def test_a_prompt_goes_from_file_to_view_as_the_page_says(build):
    with entered() as files:
        assert build("--limit", "1").code == 0
    assert missing(files, "One prompt, from file to view") == set()


def test_a_neuron_goes_from_view_to_weight_as_the_page_says(shell, built, db, tmp_path):
    wide = tmp_path / "neurons.json"
    wide.write_text(json.dumps([[layer, neuron] for layer in range(3) for neuron in range(40)]), "utf-8")
    with entered() as files:
        words = ("--fact", "France", "--object", "Berlin", "--languages", "en,fr", "--steps", "300", "--force")
        assert shell("edit", "--db", db, "--neurons", wide, *words).code == 0
    assert missing(files, "One neuron, from view to edited weight") == set()
