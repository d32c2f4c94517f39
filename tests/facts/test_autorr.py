"""The autoregressive editions of mParaRel: rows as their makers push them, in Parquet or in lines of JSON."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from atlas.errors import DataError, UsageError
from atlas.facts import read


def row(language, template, subject, name, uris, relation="P36", number=0):
    """Return a row with the columns that the published editions have; nobody reads the first and the last two."""
    return {
        "id": f"{language}_{relation}_{uris[0]}_{number}", "language": language, "relation": relation,
        "template": template, "template_id": number, "sub_uri": uris[0], "obj_uri": uris[1], "sub_label": subject,
        "obj_label": name, "query": template.replace("[X]", subject), "lineid": 1,
    }  # fmt: skip


FRANCE, GERMANY = ("Q142", "Q90"), ("Q183", "Q64")
ROWS = [
    row("en", "The capital of [X] is", "France", "Paris", FRANCE),
    row("en", "[X]'s capital is", "France", "Paris", FRANCE, number=1),
    row("en", "The capital of [X] is", "Germany", "Berlin", GERMANY),
    row("ja", "[X]の首都は", "フランス", "パリ", FRANCE),
    row("zh-hans", "[X]的首都是", "法国", "巴黎", FRANCE),
    row("zh-hans", "[X]的首都：", "法国", "巴黎", FRANCE, number=1),
    row("zh-hans", "首都属于[X]", "法国", "巴黎", FRANCE, number=2),
    row("fr", "la capitale de [X] est [Y]", "France", "Paris", FRANCE),
]


@pytest.fixture(params=["parquet", "jsonl"])
def edition(request, tmp_path):
    """A folder as the hub gives it: two files under `data`."""

    def write(rows):
        folder = tmp_path / "edition" / "data"
        folder.mkdir(parents=True)
        for number, part in enumerate((rows[:2], rows[2:])):
            file = folder / f"train-{number:05d}-of-00002.{request.param}"
            if request.param == "parquet":
                parquet.write_table(pa.Table.from_pylist(part), file)
            else:
                file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in part), "utf-8")
        return folder.parent

    return write


def test_rows_are_facts_in_all_languages_and_templates_that_end_in_the_object(edition, told):
    found = read(edition(ROWS))
    facts, templates = told(found)
    assert facts == {
        ("P36", "Q142", "Q90"): {
            "en": ("France", "Paris"), "fr": ("France", "Paris"), "ja": ("フランス", "パリ"),
            "zh": ("法国", "巴黎"),
        },
        ("P36", "Q183", "Q64"): {"en": ("Germany", "Berlin")},
    }  # fmt: skip
    assert templates == {
        ("P36", "en", "The capital of [X] is [Y]"), ("P36", "en", "[X]'s capital is [Y]"),
        ("P36", "ja", "[X]の首都は[Y]"), ("P36", "zh", "[X]的首都是[Y]"),
        ("P36", "zh", "[X]的首都：[Y]"), ("P36", "zh", "首都属于[X][Y]"),
        ("P36", "fr", "la capitale de [X] est [Y]"),
    }  # fmt: skip
    assert all(template.ends_in_object for template in found.templates)
    assert not found.skips
    assert found.source == "mpararel_autorr"


def test_an_object_of_several_names_has_the_first(edition, told):
    rows = [one | {"obj_label": [one["obj_label"], "another"]} for one in ROWS[:3]]
    assert told(read(edition(rows)))[0]["P36", "Q142", "Q90"] == {"en": ("France", "Paris")}


def test_nothing_is_taken_of_a_row_whose_template_is_bad(edition, told):
    folder = edition([*ROWS[:2], ROWS[2] | {"template": "The capital\x07 of [X] is"}])
    assert set(told(read(folder, skip_bad=True))[0]) == {("P36", "Q142", "Q90")}


def test_an_object_of_no_name_is_left_out_and_counted(edition, told, skipped):
    found = read(edition([ROWS[0] | {"obj_label": ["Paris"]}, ROWS[1] | {"obj_label": ["Paris"]},
                          ROWS[2] | {"obj_label": []}]))  # fmt: skip
    assert set(told(found)[0]) == {("P36", "Q142", "Q90")}
    assert skipped(found) == {"fact without a label for subject or object": 1}


@pytest.mark.parametrize("name", [".ipynb_checkpoints/a-checkpoint.jsonl", "data/.a.jsonl"])
def test_hidden_files_and_folders_are_not_read(edition, told, name):
    folder = edition(ROWS)
    expected = told(read(folder))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(row("en", "[X] had the capital", "France", "Vichy", ("Q142", "Q1"))), "utf-8")
    assert told(read(folder)) == expected


def test_languages_and_relations_are_chosen(edition, told):
    folder = edition([*ROWS, row("en", "[X] lies in", "France", "Europe", ("Q142", "Q46"), relation="P30")])
    facts, templates = told(read(folder, languages=["ja"]))
    assert (set(facts), len(templates)) == ({("P36", "Q142", "Q90")}, 1)
    assert {key[0] for key in told(read(folder, relations=["P30"]))[0]} == {"P30"}
    with pytest.raises(UsageError, match="xx"):
        read(folder, languages=["xx"])


def test_one_file_is_read_alone(edition, told):
    folder = edition(ROWS)
    file = sorted((folder / "data").iterdir())[0]
    assert len(told(read(file))[1]) == 2


def test_a_damaged_parquet_file_is_told_of(edition):
    folder = edition(ROWS)
    last = sorted((folder / "data").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:100])
    with pytest.raises(DataError, match="00001-of-00002"):
        read(folder)


@pytest.mark.parametrize("file", [0, 1])
@pytest.mark.parametrize("part", [slice(-4, None), slice(4, -200), slice(-60, -10)], ids=["mark", "pages", "footer"])
def test_a_damaged_parquet_file_of_several_is_named_with_the_cause(tmp_path, file, part):
    for number in range(2):
        parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / f"{number}.parquet")
    damaged = bytearray((tmp_path / f"{file}.parquet").read_bytes())
    damaged[part] = b"\xff" * len(damaged[part])
    (tmp_path / f"{file}.parquet").write_bytes(damaged)
    with pytest.raises(
        DataError, match=rf"{file}\.parquet cannot be read as Parquet \(\w.+\); fetch or write it again"
    ):
        read(tmp_path)


def test_other_files_of_rows_are_not_taken_for_it(tmp_path):
    (tmp_path / "other.jsonl").write_text('{"subject": "a", "object": "b"}\n')
    with pytest.raises((DataError, UsageError)):
        read(tmp_path)
