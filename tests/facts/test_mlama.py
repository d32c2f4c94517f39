import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.errors import DataError
from atlas.facts import read

COLUMNS = ["uuid", "lineid", "obj_uri", "obj_label", "sub_uri", "sub_label", "template", "language", "predicate_id"]
ROWS = [
    ["a", 0, "Q90", "Paris", "Q142", "France", "The capital of [X] is [Y] .", "en", "P36"],
    ["b", 1, "Q64", "Berlin", "Q183", "Germany", "The capital of [X] is [Y] .", "en", "P36"],
    ["a", 0, "Q90", "باريس", "Q142", "فرنسا", "عاصمة [X] هي [Y] .", "ar", "P36"],
    ["c", 0, "Q90", "Paris, France", "Q937", 'Albert "the" Einstein', "[X] was born in [Y] .", "en", "place_of_birth"],
]
FACTS = {
    ("P36", "Q142", "Q90"): {"ar": ("فرنسا", "باريس"), "en": ("France", "Paris")},
    ("P36", "Q183", "Q64"): {"en": ("Germany", "Berlin")},
    ("place_of_birth", "Q937", "Q90"): {"en": ('Albert "the" Einstein', "Paris, France")},
}
TEMPLATES = {
    ("P36", "en", "The capital of [X] is [Y] ."),
    ("P36", "ar", "عاصمة [X] هي [Y] ."),
    ("place_of_birth", "en", "[X] was born in [Y] ."),
}


def tree():
    files = {}
    for values in ROWS:
        row = dict(zip(COLUMNS, values, strict=True))
        language, relation = row.pop("language"), row.pop("predicate_id")
        template = {"relation": relation, "template": row.pop("template")}
        files.setdefault(f"{language}/{relation}.jsonl", []).append(row)
        templates = files.setdefault(f"{language}/templates.jsonl", [])
        if template not in templates:
            templates.append(template)
    return files


def write_rows(path, rows=ROWS):
    dicts = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(dicts), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in dicts), encoding="utf-8")


def test_the_published_folder(plant, told, skipped):
    found = read(plant(tree()))
    assert told(found) == (FACTS, TEMPLATES)
    assert skipped(found) == {}
    assert found.relation_names == {"P36": "capital", "place_of_birth": "place of birth"}


@pytest.mark.parametrize("name", ["m_lama.jsonl", "m_lama.json", "m_lama.csv", "m_lama.parquet"])
def test_rows_of_the_hugging_face_data_set(tmp_path, told, skipped, name):
    write_rows(tmp_path / name)
    found = read(tmp_path / name)
    assert told(found) == (FACTS, TEMPLATES)
    assert skipped(found) == {}


def test_a_folder_of_row_files_unites_them(tmp_path, told):
    for folder, name, rows in (("en", "test-0.parquet", ROWS[:2]), ("ar", "test-0.parquet", ROWS[2:3])):
        (tmp_path / folder).mkdir()
        write_rows(tmp_path / folder / name, rows)
    write_rows(tmp_path / "more.jsonl", ROWS[3:])
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert told(read(tmp_path)) == (FACTS, TEMPLATES)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("ar.parquet", lambda content: content[:-30], r"ar\.parquet cannot be read as Parquet"),
        ("ar.jsonl", lambda content: b"{\n" + content, r"ar\.jsonl:1: it is not valid JSON"),
    ],
)
def test_a_damaged_file_of_several_is_named(tmp_path, name, damage, said):
    write_rows(tmp_path / "en.parquet", ROWS[:2])
    write_rows(tmp_path / name, ROWS[2:3])
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def test_only_the_wanted_rows_are_read(tmp_path, told):
    write_rows(tmp_path / "rows.parquet")
    facts, templates = told(read(tmp_path / "rows.parquet", languages=["ar"], relations=["P36"]))
    assert facts == {("P36", "Q142", "Q90"): {"ar": ("فرنسا", "باريس")}}
    assert templates == {("P36", "ar", "عاصمة [X] هي [Y] .")}


def test_a_language_without_templates_keeps_its_labels(plant, skipped):
    files = tree()
    del files["ar/templates.jsonl"]
    found = read(plant(files))
    assert skipped(found) == {"fact without a template in its language": 1}


def test_a_template_of_a_relation_without_facts_is_named_as_it_can_be_printed(plant):
    files = tree()
    files["en/templates.jsonl"].append({"relation": "P\u202e36", "template": "[X] has [Y]"})
    (left,) = read(plant(files)).skips
    assert (left.where, left.reason) == ("P\\u202e36 en", "template of a relation without facts")


def test_a_bad_row_of_a_parquet_file_is_named(tmp_path):
    write_rows(tmp_path / "rows.parquet", [*ROWS[:1], [*ROWS[1][:7], "../en", "P36"]])
    with pytest.raises(DataError, match=r"rows\.parquet:2: '\.\./en' is no language code"):
        read(tmp_path / "rows.parquet")
    assert len(read(tmp_path / "rows.parquet", skip_bad=True).facts) == 1


def test_nothing_is_taken_of_a_row_whose_template_is_bad(tmp_path, told, skipped):
    write_rows(tmp_path / "rows.jsonl", [*ROWS[1:], [*ROWS[0][:6], "The capital\x07 of [X] is [Y]", "en", "P36"]])
    found = read(tmp_path / "rows.jsonl", skip_bad=True)
    assert told(found)[0]["P36", "Q142", "Q90"] == {"ar": ("فرنسا", "باريس")}
    assert skipped(found) == {"bad line: it holds the control character U+0007": 1}


def test_a_truncated_parquet_file_is_no_data_set_and_no_traceback(tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"rows\.parquet is no known kind"):
        read(path)
