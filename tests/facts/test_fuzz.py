"""Whatever the files hold, reading ends in facts that keep their promises or in a one-sentence AtlasError.

Each test begins with a small data set that is right and damages it: bytes cut out and put in, whole lines added.
"""

import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas.errors import AtlasError
from atlas.facts import OBJECT, SUBJECT, FactSet, read

fuzz = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row(*values):
    return dict(zip(("sub_uri", "obj_uri", "sub_label", "obj_label"), values, strict=True))


FRANCE, GERMANY = row("Q142", "Q90", "France", "Paris"), row("Q183", "Q64", "Germany", "Berlin")
ARABIC = row("Q142", "Q90", "فرنسا", "باريس")
FULL = {"template": "The capital of [X] is [Y]", "language": "en", "predicate_id": "P36"}
HEADER = "Prompt\tAns\tCandidate Ans\tSubject\r\n"
KINDS = {
    "mpararel": {
        "tuples/en/P36.jsonl": lines(FRANCE, GERMANY),
        "tuples/ar/P36.jsonl": lines(ARABIC),
        "patterns/en/P36.jsonl": lines({"pattern": "[Y] is the capital of [X]"}, {"pattern": "[X] has [Y]"}),
        "patterns/ar/P36.jsonl": lines({"pattern": "عاصمة [X] هي [Y]"}),
    },
    "pararel": {
        "trex_lms_vocab/P36.jsonl": lines(FRANCE, GERMANY),
        "pattern_data/graphs_json/P36.jsonl": lines({"pattern": "[Y] is the capital of [X]."}),
    },
    "mlama": {
        "en/P36.jsonl": lines(FRANCE, GERMANY),
        "en/templates.jsonl": lines({"relation": "P36", "template": "The capital of [X] is [Y] ."}),
        "ar/P36.jsonl": lines(ARABIC),
        "ar/templates.jsonl": lines({"relation": "P36", "template": "عاصمة [X] هي [Y] ."}),
    },
    "rows": {
        "a.jsonl": lines(FRANCE | FULL, GERMANY | FULL, ARABIC | FULL | {"language": "ar"}),
        "b.csv": "sub_uri,obj_uri,sub_label,obj_label,template,language,predicate_id\n"
        + 'Q17,Q1490,Japan,"Tokyo, the",[X] has [Y],en,P36\n',
    },
    "bmlama": {
        "en.tsv": HEADER + "The capital of Oz is <mask>.\tEm\tA, B\tOz\r\nOz plays <mask>.\tchess\tA, B\tOz\r\n",
        "fr.tsv": HEADER + "Le capital de Oz est <mask>.\tÉm\tA, B\tOz\r\nOz joue <mask>.\téchecs\tA, B\tOz\r\n",
    },
    "table": {
        "facts.csv": "relation,language,subject_key,object_key,subject,object,template\n"
        + 'P36,en,Q142,Q90,France,"Paris, the",[X] has [Y]\nP36,fr,Q142,Q90,France,Paris,\n',
        "templates.csv": "relation,language,template,held_out\nP36,fr,[X] a [Y],yes\nP36,en,[Y] of [X],0\n"
        "P36,fr,[Y] de [X],\n",
    },
}
PIECES = [
    *(
        "[X]",
        "[Y]",
        "<mask>",
        "[MASK]",
        "Paris",
        "巴黎",
        " ",
        "\t",
        ",",
        ";",
        '"',
        '""',
        "\r",
        "\n",
        "\0",
        "null",
        "[]",
    ),
    *(
        "\u202e",
        "\u200b",
        "\ufeff",
        "\x1b[0m",
        "..",
        "/",
        "{",
        "}",
        "e\u0301",
        "𝄞",
        "a" * 600,
        "\x85",
        "\u2028",
        "\\ud800",
    ),
]
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(PIECES)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
damaged_rows = st.dictionaries(st.sampled_from([*FRANCE, *FULL, "pattern", "relation"]), values, max_size=2).map(
    lambda damage: "\n" + json.dumps(FRANCE | FULL | {"pattern": "[X] [Y] a", "relation": "P36"} | damage) + "\n"
)
inserts = st.one_of(
    st.sampled_from(PIECES).map(str.encode), damaged_rows.map(str.encode), st.binary(max_size=6), st.just(b"")
)
edits = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1), st.integers(0, 12), inserts), max_size=4)
selections = st.fixed_dictionaries(
    {"skip_bad": st.booleans()},
    optional={"limit": st.integers(0, 3), "languages": st.sampled_from([["en"], ["ar", "fr"], ["en", "x"]])},
)


def damaged(tree, changes):
    """The files of a tree as bytes, each change having cut out and put in some."""
    files = {name: bytearray(content.encode()) for name, content in tree.items()}
    names = sorted(files)
    for which, where, cut, insert in changes:
        content = files[names[which % len(names)]]
        place = int(where * len(content))
        content[place : place + cut] = insert
    return files


def keeps_its_promises(found: FactSet) -> None:
    assert found.facts
    for fact in found.facts:
        assert fact.labels
        assert fact.subject
        assert fact.object
        for label in fact.labels.values():
            assert label.subject.strip() == label.subject != ""
            assert label.object.strip() == label.object != ""
            assert "\n" not in label.subject + label.object
    for template in found.templates:
        assert template.text.count(SUBJECT) == template.text.count(OBJECT) == 1
    assert len({template.id for template in found.templates}) == len(found.templates)
    assert len({fact.id for fact in found.facts}) == len(found.facts)
    assert {fact.relation for fact in found.facts} == set(found.relation_names)
    assert all(skip.count > 0 and skip.where.isprintable() for skip in found.skips)
    for prompt in found.prompts():
        assert prompt.text.count(OBJECT) == 1
        assert SUBJECT not in prompt.text


def attempt(path, **options):
    """Read a data set; True if there were facts in it."""
    told = None
    try:
        found = read(path, **options)
    except AtlasError as error:
        told = str(error)
    else:
        keeps_its_promises(found)
    assert told is None or told.isprintable()
    return told is None


def write(folder, files):
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_sets_are_right_before_the_damage(kind, tmp_path):
    write(tmp_path, damaged(KINDS[kind], []))
    assert attempt(tmp_path)
    assert read(tmp_path).skips == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@fuzz
@given(changes=edits, options=selections)
def test_no_damage_makes_a_traceback(kind, changes, options):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, damaged(KINDS[kind], changes))
        attempt(folder, **options)
        for path in Path(folder).glob("*.*"):
            attempt(path, **options)


@pytest.mark.slow
@fuzz
@given(damage=st.dictionaries(st.sampled_from([*FRANCE, *FULL]), values, max_size=2))
def test_no_parquet_row_makes_a_traceback(damage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        try:
            pq.write_table(pa.Table.from_pylist([GERMANY | FULL | {"language": "fr"}, FRANCE | FULL | damage]), path)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError):
            return
        attempt(path, skip_bad=True)
        attempt(path)


@pytest.mark.slow
@fuzz
@given(changes=edits)
def test_no_broken_parquet_file_makes_a_traceback(changes):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([FRANCE | FULL, GERMANY | FULL]), sink)
    content = bytearray(sink.getvalue())
    for _, where, cut, insert in changes:
        place = int(where * len(content))
        content[place : place + cut] = insert
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        path.write_bytes(content)
        attempt(path, skip_bad=True)


@fuzz
@given(name=st.text(max_size=30))
def test_no_name_of_a_data_set_makes_a_traceback(name):
    with tempfile.TemporaryDirectory() as folder:
        attempt(f"{folder}/nowhere/{name}")


@fuzz
@given(languages=st.lists(st.text(max_size=8), max_size=3), relations=st.lists(st.text(max_size=8), max_size=3))
def test_no_selection_makes_a_traceback(languages, relations):
    attempt("bundled", languages=languages, relations=relations)
