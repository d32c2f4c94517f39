"""Files of claims: what is read, and how each kind of bad input is answered."""

import pytest

from atlas.checking.claims import Claim, read_claims
from atlas.errors import DataError


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_tsv_and_jsonl_read_alike(tmp_path):
    expected = [Claim("France", "P36", "Paris", "en", True), Claim("法国", "P36", "里昂", "zh", False)]
    files = {
        "a.csv": "subject,relation,object,language,truth\nFrance,P36,Paris,en,true\n法国,P36,里昂,zh,0\n",
        "a.tsv": "object\tsubject\trelation\ttruth\tlanguage\nParis\tFrance\tP36\tyes\ten\n里昂\t法国\tP36\tno\tzh\n",
        "a.jsonl": '{"subject": "France", "relation": "P36", "object": "Paris", "language": "en", "truth": true}\n\n'
        '{"subject": "法国", "relation": "P36", "object": "里昂", "language": "zh", "truth": false}\n',
    }
    for name, text in files.items():
        assert read_claims(written(tmp_path, name, text)) == expected


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",P36,Paris,", "subject"),
        ("France,P36,nan,", "object"),
        ("France,P36,NaN,", "object"),
        ("France,P36,Paris,perhaps", "truth"),
        ("France,P36,Paris,true,more", "cells"),
        ("France", "relation"),
    ],
)
def test_a_bad_row_is_kept_with_its_problem(tmp_path, row, problem):
    first, bad = read_claims(written(tmp_path, "a.csv", f"subject,relation,object,truth\nJapan,P36,Tokyo,\n{row}\n"))
    assert first == Claim("Japan", "P36", "Tokyo")
    assert problem in bad.problem


def test_nan_is_a_province_too(tmp_path):
    (claim,) = read_claims(written(tmp_path, "a.csv", "subject,relation,object\nNan,P17,Thailand\n"))
    assert claim == Claim("Nan", "P17", "Thailand")


def test_json_numbers_and_nan_are_text_or_problems(tmp_path):
    rows = read_claims(
        written(
            tmp_path,
            "a.jsonl",
            '{"subject": 7, "relation": "P1", "object": NaN}\n{"subject": [], "relation": "a", "object": "b"}',
        )
    )
    assert rows[0].subject == "7"
    assert "object" in rows[0].problem
    assert "subject" in rows[1].problem


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "subject,relation\nFrance,P36\n", "lacks object"),
        ("a.csv", "subject,relation,object,score\nFrance,P36,Paris,1\n", "has score"),
        ("a.csv", "", "lacks subject"),
        ("a.csv", "subject,relation,object\n", "no claims"),
        ("a.csv", b"subject,relation,object\n\xff,P36,Paris\n", "UTF-8"),
        ("a.csv", 'subject,relation,object\n"France,P36,Paris', "line 2: a quoted cell does not close"),
        ("a.jsonl", '{"subject": ', "line 1"),
        ("a.jsonl", "[1]", "object"),
        ("a.jsonl", '{"subject": "a"}', "lacks relation"),
        ("a.xlsx", "", "neither"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(tmp_path, name, text, words):
    with pytest.raises(DataError, match=words) as caught:
        read_claims(written(tmp_path, name, text))
    assert name in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_claims(tmp_path / "none.csv")
