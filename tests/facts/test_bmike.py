"""BMIKE-53's requests, as published, read as facts; their new objects are edits."""

import json

import pytest

from atlas.editing.exchange import requests_from_json
from atlas.errors import DataError
from atlas.facts import read


def request(case, subject, src, rephrase, old, alt):
    """Return one language's part with all fields that are published."""
    return {
        "case_id": case, "subject": subject, "src": src, "rephrase": rephrase, "old": old, "alt": alt,
        "loc": "Which continent does Nepal belong to?", "loc_ans": "Asia", "port": "Who?", "port_ans": "Nobody",
    }  # fmt: skip


ENGLISH = [
    request(1, "Oslo", "In which country is Oslo?", "Which country holds Oslo?", "Norway", "Chile"),
    request(2, "Rome", "In which country is Rome?", "Rome lies where?", "Italy", "Peru"),
]
FILES = {
    "counterfact_test_de.json": [
        {
            "en": ENGLISH[0],
            "de": request(1, "Oslo", "In welchem Land liegt Oslo?", "Wo ist Oslo?", "Norwegen", "Chile"),
        },
        {"en": ENGLISH[1], "de": request(2, "Rom", "In welchem Land liegt Rom?", "Wo liegt es?", "Italien", "Peru")},
    ],
    "counterfact_test_zh.json": [
        {"en": ENGLISH[0], "zh": request(1, "奥斯陆", "奥斯陆在哪个国家？", "", "挪威", "智利")}
    ],
}


@pytest.fixture
def data(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content, ensure_ascii=False, indent=4), "utf-8")
    return tmp_path


RELATION = "in_which_country_is_x"


def test_files_of_all_languages_are_one_set_of_facts(data, told, skipped):
    found = read(data)
    facts, templates = told(found)
    assert facts == {
        (RELATION, "Oslo", "Norway"): {
            "en": ("Oslo", "Norway"), "de": ("Oslo", "Norwegen"), "zh": ("奥斯陆", "挪威"),
        },
        (RELATION, "Rome", "Italy"): {"en": ("Rome", "Italy"), "de": ("Rom", "Italien")},
    }  # fmt: skip
    assert templates >= {(RELATION, "en", "In which country is [X]? [Y]"), (RELATION, "zh", "[X]在哪个国家？[Y]")}
    assert {t.text for t in found.templates if t.held_out and t.language == "de"} == {"Wo ist [X]? [Y]"}
    assert skipped(found) == {"question that does not name its subject once": 1}
    assert all(template.ends_in_object for template in found.templates)


def test_an_english_question_that_all_files_hold_is_left_out_once(data, skipped):
    english = [ENGLISH[0] | {"rephrase": "Where is it?"}, ENGLISH[1] | {"src": "Where does it lie?"}]
    for code in ("es", "fr"):
        parts = [{"en": part, code: request(1, "Oslo", f"{code}: Oslo?", "", "N", "C")} for part in english]
        (data / f"counterfact_test_{code}.json").write_text(json.dumps(parts), "utf-8")
    (data / "counterfact_test_de.json").unlink()
    assert skipped(read(data)) == {"question that does not name its subject once": 2}


@pytest.mark.parametrize("spelling", ["zh-cn", "zh_cn", "zho_Hans"])
def test_the_object_follows_a_chinese_question_without_a_space_however_the_code_is_spelled(data, told, spelling):
    parts = json.dumps([{"en": ENGLISH[0], spelling: request(1, "奥斯陆", "奥斯陆在哪个国家？", "", "挪威", "智利")}])
    (data / "counterfact_test_zh.json").write_text(parts, "utf-8")
    assert (RELATION, "zh", "[X]在哪个国家？[Y]") in told(read(data))[1]


def test_one_file_and_one_language(data, told):
    facts, _ = told(read(data / "counterfact_test_de.json", languages=["de"]))
    assert set(facts) == {(RELATION, "Oslo", "Norway"), (RELATION, "Rome", "Italy")}


def test_a_request_of_another_form_is_named(data):
    (data / "counterfact_test_zh.json").write_text(json.dumps([{"en": ENGLISH[0], "zh": {"src": "a"}}]), "utf-8")
    with pytest.raises(DataError, match=r"test_zh.json:1: a request lacks en, or one of subject, src, alt"):
        read(data)


def test_requests_that_do_not_name_the_object_of_now_are_told_as_such(tmp_path):
    item = {code: {key: text for key, text in ENGLISH[0].items() if key != "old"} for code in ("en", "de")}
    (tmp_path / "zsre_test_de.json").write_text(json.dumps([item]), "utf-8")
    with pytest.raises(
        DataError, match=r"zsre_test_de.json:1: a request lacks old, the fact's object, as all of .* zsRE"
    ):
        read(tmp_path)


def test_nothing_is_taken_of_a_language_with_a_bad_question(data, told):
    parts = {"en": ENGLISH[0], "zh": request(1, "奥斯陆", "奥斯陆在\x07哪个国家？", "", "挪威", "智利")}
    (data / "counterfact_test_zh.json").write_text(json.dumps([parts]), "utf-8")
    assert set(told(read(data, skip_bad=True))[0][RELATION, "Oslo", "Norway"]) == {"en", "de"}


def test_the_requests_become_edits(data, tmp_path):
    done = requests_from_json(data / "counterfact_test_de.json", tmp_path / "out")
    assert done.edits == 2
    assert "Chile" in (tmp_path / "out" / "edits.csv").read_text("utf-8")
    assert {fact.object for fact in read(tmp_path / "out").facts} == {"Norway", "Italy"}
