"""The tables of `docs/evaluation.md` are what the files beside it hold."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date():
    made = runpy.run_path(str(ROOT / "benchmarks" / "evaluation.py"))["page"]()
    assert (ROOT / "docs" / "evaluation.md").read_text("utf-8") == made, "run: python -m benchmarks.evaluation"
