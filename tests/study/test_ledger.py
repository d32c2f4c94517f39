"""What a study's folder remembers of it: what was asked, and what each step gave."""

import json

import pytest

from atlas.errors import UsageError
from atlas.study.ledger import NAME, Ledger

ASKED = {"limit": 8, "languages": ("en", "fr"), "seed": 0}


def held(folder):
    return json.loads((folder / NAME).read_text("utf-8"))


def test_it_begins_in_a_folder_that_is_new_or_empty_and_says_what_was_asked(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "of" / "folders"):
        Ledger.of(folder, ASKED)
        assert held(folder) == {"asked": ASKED | {"languages": ["en", "fr"]}, "done": {}}


def test_with_nothing_done_and_nothing_beside_it_another_study_takes_its_place(tmp_path):
    Ledger.of(tmp_path, ASKED)
    other = Ledger.of(tmp_path, ASKED | {"limit": 9})
    assert (held(tmp_path)["asked"]["limit"], other.asked["limit"], other.done) == (9, 9, {})


@pytest.mark.parametrize("done", [False, True])
def test_a_study_that_was_begun_is_no_others_and_what_differs_is_named(tmp_path, done):
    """By a step that is done, or by the atlas that a build left which was stopped."""
    first = Ledger.of(tmp_path, ASKED)
    if done:
        first.add("build", {"run": "1"})
    else:
        (tmp_path / "study.duckdb").touch()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(UsageError, match=r"asked otherwise \(known, languages, limit\)"):
        Ledger.of(tmp_path, {"limit": 9, "seed": 0, "languages": ["fr"], "known": True})
    assert (tmp_path / NAME).read_bytes() == before
    assert Ledger.of(tmp_path, ASKED).done == first.done


def test_a_failure_is_noted_once_for_each_reason_and_gives_way_to_what_was_found(tmp_path):
    ledger, found = Ledger.of(tmp_path, ASKED), []
    for failed, seconds in (("no model", 1.0), ("no model", 2.0), ("no claims", 3.0), (None, 4.0)):
        ledger.add("check", ({"failed": failed} if failed else {"evaluation": "7"}) | {"seconds": seconds})
        found.append(held(tmp_path)["done"]["check"])
        assert found[-1] == ledger.done["check"]
    assert [each["seconds"] for each in found] == [1.0, 1.0, 3.0, 4.0]
    assert "failed" not in found[-1]


def test_a_ledger_that_was_copied_or_mended_by_hand_goes_on(tmp_path):
    Ledger.of(tmp_path, ASKED).add("build", {"run": "1"})
    text = (tmp_path / NAME).read_text("utf-8")
    (tmp_path / NAME).write_text(text.replace('"1"', '"2"'), "utf-8")
    Ledger.of(tmp_path, ASKED).add("knockout", {"cut": []})
    assert held(tmp_path)["done"] == {"build": {"run": "2"}, "knockout": {"cut": []}}
