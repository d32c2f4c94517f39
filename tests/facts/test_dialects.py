"""One reader of tables: facts, claims, edits and neurons in every dialect in which spreadsheets write."""

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.checking.claims import read_claims
from atlas.editing.requests import read_requests
from atlas.editing.sources import read_neurons
from atlas.errors import DataError
from atlas.facts import read
from atlas.facts.reading.files import MAX_LINE

FACTS = [
    ["relation", "language", "subject", "object", "template"],
    ["capital", "fr", "Pérou, le", 'Lima "la belle"', "[X] a ; [Y]"],
    ["capital", "fr", "Chili", "Santiago", "[X] a ; [Y]"],
]
CLAIMS = [["subject", "relation", "object"], ["Pérou; le", "capital", "Lima, \t oui"], ["日本", "capital", "東京"]]
EDITS = [["fact", "object_fr", "object_zh-Hans", "languages"], ["Pérou", "Quito", "基多", "fr zh-Hans"]]
NEURONS = [["layer", "neuron"], ["3", "17"], ["0", "9"]]


def told(path):
    facts = read(path)
    return {(f.relation, f.subject, f.object) for f in facts.facts}, {t.text for t in facts.templates}


READERS = {
    "facts": (FACTS, told, ({("capital", *row[2:4]) for row in FACTS[1:]}, {"[X] a ; [Y]"})),
    "claims": (CLAIMS, lambda path: [[c.subject, c.relation, c.object] for c in read_claims(path)], CLAIMS[1:]),
    "edits": (
        EDITS,
        lambda path: [(r.fact, dict(r.objects), r.languages) for r in read_requests(path)],
        [("Pérou", {"fr": "Quito", "zh-Hans": "基多"}, ("fr", "zh-Hans"))],
    ),
    "neurons": (NEURONS, lambda path: read_neurons(path).neurons, ((0, 9), (3, 17))),
}


def table(rows, *, delimiter=",", ends="\n", encoding="utf-8", first=""):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=ends).writerows(rows)
    return (first + out.getvalue()).encode(encoding)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_dialect_reads_alike(tmp_path, kind, delimiter, ends, encoding):
    rows, reader, expected = READERS[kind]
    path = tmp_path / "mine.CSV"
    path.write_bytes(table(rows, delimiter=delimiter, ends=ends, encoding=encoding))
    assert reader(path) == expected


@pytest.mark.parametrize("kind", READERS)
def test_empty_columns_and_rows_of_a_sheet_are_passed_over(tmp_path, kind):
    rows, reader, expected = READERS[kind]
    path = tmp_path / "mine.csv"
    path.write_bytes(table([[*row, "", ""] for row in (*rows, [""] * len(rows[0]))]))
    assert reader(path) == expected


def test_a_name_that_is_too_long_for_a_key_is_told_by_its_column(tmp_path):
    (tmp_path / "mine.csv").write_bytes(table([FACTS[0], ["capital", "fr", "é" * 300, "Lima", "[X] a [Y]"]]))
    with pytest.raises(DataError, match=r"mine\.csv:2: a key of 300 characters .* \(column subject\)"):
        read(tmp_path / "mine.csv")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("delimiter", "first"), [(";", "sep=;\r\n"), (",", "SEP=,\n"), ("|", '"sep=|"\n'), ("\t", "sep=\t\r")]
)
def test_a_first_line_may_name_the_separator(tmp_path, kind, delimiter, first):
    rows, reader, expected = READERS[kind]
    path = tmp_path / "mine.csv"
    path.write_bytes(
        table(rows, delimiter=delimiter, first=first, ends=first[len(first.rstrip()) :] if delimiter != "\t" else "\r")
    )
    assert reader(path) == expected


@pytest.mark.slow
@given(
    cells=st.lists(st.text("aé東 ,;\t'\"|", min_size=1, max_size=8).map(lambda t: f"x{t}x"), min_size=3, max_size=3),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_cells_come_back_as_a_writer_wrote_them(tmp_path_factory, cells, delimiter, encoding):
    path = tmp_path_factory.mktemp("cells") / "c.csv"
    path.write_bytes(table([CLAIMS[0], cells], delimiter=delimiter, encoding=encoding))
    (claim,) = read_claims(path)
    assert [claim.subject, claim.relation, claim.object] == cells


BAD = {
    "facts": (
        ["capital", "fr", "Pérou", "Lima", "[X] [Y]"],
        1,
        "f!",
        r"bad\.csv:3: 'f!' is no language code \(column language\)",
    ),
    "claims": (["a", "b", "c"], 2, "c,d", r"bad\.csv, line 3: a quoted cell does not close on its line"),
    "neurons": (["3", "4"], 1, "-4", r"bad\.csv, line 3: '-4' is no whole number \(column neuron\)"),
    "edits": (["a", "b", "", "fr"], 0, "", r"bad\.csv, line 3: an edit needs a fact and an object \(column fact\)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_message_names_file_line_and_column(tmp_path, kind):
    rows, reader, _ = READERS[kind]
    good, place, wrong, message = BAD[kind]
    path = tmp_path / "bad.csv"
    text = table([rows[0], good, [*good[:place], wrong, *good[place + 1 :]]])
    path.write_bytes(text.replace(b'"c,d"', b'"c,d') if kind == "claims" else text)
    with pytest.raises(DataError, match=message):
        reader(path)


@pytest.mark.parametrize("kind", ["facts", "claims", "edits"])
@pytest.mark.parametrize("line", [0, 1])
def test_what_is_not_utf_8_is_told_with_its_line(tmp_path, kind, line):
    rows, reader, _ = READERS[kind]
    path = tmp_path / "latin.csv"
    made = [list(row) for row in rows[:2]]
    made[line][0] = "é" + made[line][0] if line else made[line][0]
    lines = table(made).splitlines(keepends=True)
    lines[line] = lines[line].replace(b"\n", b",\xe9\n") if not line else lines[line].replace("é".encode(), b"\xe9")
    path.write_bytes(b"".join(lines))
    with pytest.raises(
        DataError,
        match=rf"latin\.csv(:|, line ){line + 1}: it is not valid UTF-8, as which the whole file should be saved",
    ):
        reader(path)


@pytest.mark.parametrize("kind", READERS)
def test_devices_and_pipes_are_refused_at_once(tmp_path, kind):
    reader = READERS[kind][1]
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for path in (pipe, tmp_path / "zero.csv"):
        with pytest.raises(DataError, match="plain file"):
            reader(path)


def test_neurons_in_json_are_bounded_too(tmp_path):
    (tmp_path / "n.json").write_text("[[1, 2], [0, 3]]", "utf-16")
    assert read_neurons(tmp_path / "n.json").neurons == ((0, 3), (1, 2))
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="plain file"):
        read_neurons(tmp_path / "zero.json")


@pytest.mark.quick(1)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_on_one_line_is_read_however_long_it_is(tmp_path, encoding):
    (tmp_path / "n.json").write_text(f"[[1, 2],{' ' * MAX_LINE}[0, 3]]", encoding)
    assert read_neurons(tmp_path / "n.json").neurons == ((0, 3), (1, 2))


def test_json_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "n.json").write_bytes(b'["\xe9"]')
    with pytest.raises(DataError, match=r"n\.json is no JSON: 'utf-8' codec can't decode byte 0xe9"):
        read_neurons(tmp_path / "n.json")


def test_a_table_of_other_columns_is_told_what_it_has(tmp_path):
    (tmp_path / "mine.csv").write_text("link,tongue,thing\nP1,en,a\n")
    with pytest.raises(DataError, match=r"mine\.csv has the columns 'link', 'tongue'.*; facts have relation, language"):
        read(tmp_path / "mine.csv")
