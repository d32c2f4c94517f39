"""Codes of one language, in sources that each spell it their own way."""

import pytest

from atlas.facts import read
from atlas.matching import ALSO_CALLED, CODES, LANGUAGES, language_code, language_tag

HEADER = "relation,language,subject,object,subject_key,object_key,template\n"


@pytest.mark.parametrize("spelling", ["zh", "zh-hans", "zho_Hans", "zh_cn", "zh-CN", "ZH", "zho", "Chinese", "chinese"])
def test_simplified_chinese_is_one_language(spelling):
    assert language_code(spelling) == "zh"


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("arb_Arab", "ar"), ("arb_Latn", "ar-Latn"), ("arz", "arz"), ("pes_Arab", "fa"), ("prs_Arab", "fa-AF"),
        ("swh_Latn", "sw"), ("lvs_Latn", "lv"), ("cmn", "zh"), ("yue_Hant", "yue"), ("nob_Latn", "nb"),
        ("kor_Hang", "ko"), ("ko-Hang", "ko"), ("es_XX", "es"), ("ja_XX", "ja"),
    ],
)  # fmt: skip
def test_codes_of_flores_and_mbart_are_those_of_the_languages(spelling, code):
    assert language_code(spelling) == code
    assert language_tag(spelling) == language_tag(code)


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("zh-hant", "zh-Hant"), ("zh_TW", "zh-Hant"), ("pt_br", "pt"), ("pt-pt", "pt-PT"), ("eng_Latn", "en"),
        ("en-gb", "en-GB"), ("jpn", "ja"), ("be-tarask", "be-tarask"), ("ceb", "ceb"),
        ("xx", "xx"), ("nocode", "nocode"),
    ],
)  # fmt: skip
def test_other_languages_keep_apart(spelling, code):
    assert language_code(spelling) == code


def test_spellings_of_one_source_unite_and_stay_beside(tmp_path):
    file = tmp_path / "facts.csv"
    rows = [
        "P36,en,France,Paris,Q142,Q90,The capital of [X] is [Y]",
        "P36,zh-hans,法国,巴黎,Q142,Q90,[X]的首都是[Y]",
        "P36,zho_Hans,德国,柏林,Q183,Q64,[X]的首都是 [Y]",
        "P36,zh_cn,法国,巴黎,Q142,Q90,[X]首都为[Y]",
    ]
    file.write_text(HEADER + "\n".join(rows), "utf-8")
    found = read(file)
    assert {fact.object: sorted(fact.labels) for fact in found.facts} == {"Q90": ["en", "zh"], "Q64": ["zh"]}
    assert sorted(t.text for t in found.templates if t.language == "zh") == ["[X]的首都是[Y]", "[X]首都为[Y]"]
    assert found.spellings == {"zh": ["zh-hans", "zh_cn", "zho_Hans"]}
    for word in ("zh", "zh_cn", "zh-hans", "Chinese"):
        assert [f.object for f in read(file, languages=[word]).facts] == ["Q90", "Q64"]


def test_spellings_of_one_language_need_no_keys(tmp_path):
    file = tmp_path / "facts.csv"
    rows = ["P36,zh,法国,巴黎,[X]的首都是[Y]", "P36,zh-hans,德国,柏林,"]
    file.write_text("\n".join(["relation,language,subject,object,template", *rows]), "utf-8")
    assert [(fact.subject, *fact.labels) for fact in read(file).facts] == [("法国", "zh"), ("德国", "zh")]


def test_the_english_name_of_a_language_is_its_code(tmp_path):
    file = tmp_path / "facts.csv"
    rows = ["P36,English,Hanoi,H,Q1,Q2,[X] has [Y]", "P36,en,Oslo,O,Q3,Q4,", "P36,Vietnamese,Hà Nội,H,Q1,Q2,[X] có [Y]"]
    rows += ["P36,Basque,Hanoi,H,Q1,Q2,[X] [Y]", "P36,Azerbaijani,Hanoy,H,Q1,Q2,[X] [Y]", "P36,Welsh,Hà,H,Q1,Q2,"]
    rows += ["P36,Farsi,هانوی,H,Q1,Q2,[X] [Y]", "P36,tl,Hanoi,H,Q1,Q2,[X] [Y]"]
    file.write_text(HEADER + "\n".join(rows), "utf-8")
    found = read(file)
    assert {fact.subject: sorted(fact.labels) for fact in found.facts} == {
        "Q1": ["az", "cy", "en", "eu", "fa", "fil", "vi"],
        "Q3": ["en"],
    }
    assert found.spellings["eu"] == ["Basque"]
    for words in (["basque", "cy"], ["farsi"], ["Persian"], ["Tagalog"]):
        assert [fact.subject for fact in read(file, languages=words).facts] == ["Q1"]


def test_every_code_with_a_name_is_the_shortest_of_its_language():
    assert [code for code in LANGUAGES if language_code.__wrapped__(f"{code}-XX") != code] == []
    assert len(CODES) == len(LANGUAGES) + len(ALSO_CALLED)
    assert {*ALSO_CALLED.values()} <= {*LANGUAGES}


def test_a_fact_that_is_left_out_counts_once_however_its_language_is_spelled(tmp_path, skipped):
    file = tmp_path / "facts.csv"
    rows = [
        "P36,zh,法国,,Q142,Q90,[X]的首都是[Y]",
        "P36,zh-hans,法国,,Q142,Q90,[X]首都为[Y]",
        "P36,zh,德国,柏林,Q183,Q64,",
    ]
    file.write_text(HEADER + "\n".join(rows), "utf-8")
    assert skipped(read(file)) == {"fact without a label for subject or object": 1}
