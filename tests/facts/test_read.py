import json
import os
import shutil
from dataclasses import replace

import pytest

from atlas.errors import DataError, UsageError
from atlas.facts import bundled, read


def test_the_bundled_facts_are_the_default():
    assert read() == replace(bundled.load(), dataset="bundled")
    assert read(languages=["en"], relations=["P36"], limit=5).source == "bundled"


def test_bundled_facts_are_narrowed_as_others_are():
    found = read("bundled", languages=["fr", "ru"], relations=["P30"])
    assert {fact.relation for fact in found.facts} == {"P30"} == set(found.relation_names)
    assert all(set(fact.labels) == {"fr", "ru"} for fact in found.facts)
    assert {(t.relation, t.language) for t in found.templates} == {("P30", "fr"), ("P30", "ru")}


def test_languages_and_relations_narrow_a_source(mpararel, told):
    facts, templates = told(read(mpararel, languages=["fr", "zh-hans", "fr"], relations=["P36"]))
    assert facts == {
        ("P36", "Q142", "Q90"): {"fr": ("France", "Paris"), "zh": ("法国", "巴黎")},
        ("P36", "Q183", "Q64"): {"fr": ("Allemagne", "Berlin")},
    }
    assert {language for _, language, _ in templates} == {"fr", "zh"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["zh-hant"]}, "There is no language 'zh-hant' in mpararel; it has en, fr, zh"),
        ({"languages": ["en", "xx"]}, "There is no language 'xx' in mpararel; it has en, fr, zh"),
        ({"relations": ["P037"]}, "There is no relation 'P037' in mpararel; it has P30, P36"),
        (
            {"languages": ["zh-hans"], "relations": ["P30"]},
            "No facts are left in /.*/data for relations P30 and languages zh-hans; select others",
        ),
        ({"languages": []}, "No languages were asked for"),
        ({"limit": -1}, "A limit of -1 facts"),
    ],
)
def test_a_wrong_selection_is_a_usage_error_that_says_what_there_is(mpararel, options, message):
    with pytest.raises(UsageError, match=message):
        read(mpararel, **options)


@pytest.mark.parametrize(("word", "taken"), [("capital", {"capital"}), ("P36", {"P36"}), ("continent", {"P30"})])
def test_a_relation_is_taken_by_its_code_before_those_of_that_name(mpararel, told, word, taken):
    for part in ("tuples", "patterns"):
        (mpararel / part / "en/capital.jsonl").write_bytes((mpararel / part / "en/P36.jsonl").read_bytes())
    facts, templates = told(read(mpararel, relations=[word]))
    assert {relation for relation, *_ in facts} == taken == {relation for relation, *_ in templates}


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "\x1b[31mred", "x" * 5000])
def test_a_data_set_that_is_not_there(name):
    with pytest.raises((UsageError, DataError)) as caught:
        read(name)
    assert str(caught.value).isprintable()


def test_an_unknown_kind_of_data_set_is_told_what_kinds_there_are(plant):
    folder = plant({"README.md": "nothing to see", "en/facts.txt": "words"})
    with pytest.raises(DataError) as caught:
        read(folder)
    for part in (
        "tuples/<language>",
        "templates.jsonl",
        "trex_lms_vocab",
        "predicate_id",
        "<language>.tsv",
        "facts.csv",
    ):
        assert part in str(caught.value)


CAUSES = {
    b'{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "a", "obj_label"': "it is not valid JSON",
    b"[1, 2]": "it is not a JSON object",
    b"[" * 100_000: "it is not valid JSON",
    b'{"sub_uri": ' + b"9" * 5000 + b"}": "it is not valid JSON",
    b'{"sub_uri": "Q1", "sub_label": "a", "obj_label": "b"}': "no text under 'obj_uri'",
    b'{"sub_uri": 1, "obj_uri": "Q2", "sub_label": "a", "obj_label": "b"}': "no text under 'sub_uri'",
    b'{"sub_uri": "Q1", "obj_uri": "", "sub_label": "a", "obj_label": "b"}': "a key is empty",
    b'{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "\xff", "obj_label": "b"}': "valid UTF-8, as which .* saved",
    b'{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "\\ud800", "obj_label": "b"}': "it is not valid UTF-8",
    b'{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "a\\u0000", "obj_label": "b"}': r"the control character U\+0000",
    b'{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "[MASK]", "obj_label": "b"}': r"a label holds the mark \[MASK\]",
    b'"' + b"a" * (1 << 20) + b'"': "the line is longer than 1048576 bytes",
}


@pytest.mark.parametrize("line", CAUSES, ids=range(len(CAUSES)))
def test_a_bad_line_is_named_and_the_rest_kept_on_request(mpararel, told, skipped, line):
    before = read(mpararel)
    path = mpararel / "tuples/en/P30.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match=rf"^{path}:1: .*{CAUSES[line]}; mend the line, .*--skip-bad\.$"):
        read(mpararel)
    found = read(mpararel, skip_bad=True)
    assert told(found) == told(before)
    bad = [skip for skip in found.skips if skip.reason.startswith("bad line")]
    assert [(skip.where, skip.count) for skip in bad] == [(f"{path}:1", 1)]


def test_bad_lines_of_a_file_are_counted_together_at_the_first(mpararel):
    path = mpararel / "tuples/en/P30.jsonl"
    path.write_bytes(path.read_bytes() + b"{\n\n  \n{\n")
    found = read(mpararel, skip_bad=True)
    assert [(skip.where, skip.count) for skip in found.skips if "JSON" in skip.reason] == [(f"{path}:2", 2)]


def test_a_byte_order_mark_and_carriage_returns_change_nothing(mpararel, told):
    before = told(read(mpararel))
    for path in mpararel.rglob("*.jsonl"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert told(read(mpararel)) == before


def test_a_link_out_of_the_folder_is_refused(mpararel, tmp_path):
    outside = tmp_path / "outside.jsonl"
    outside.write_text("{}")
    (mpararel / "tuples/en/P19.jsonl").symlink_to(outside)
    with pytest.raises(DataError, match=r"P19\.jsonl is a link to a place outside the data set"):
        read(mpararel)


def test_a_file_that_is_named_itself_may_be_a_link(plant, row, tmp_path):
    request = {"subject": "France", "src": "Capital of France?", "old": "Paris", "alt": "Lyon"}
    words = {"language": "en", "predicate_id": "P36", "template": "[X] has [Y]"}
    data = plant({
        "facts.csv": "relation,language,subject,object,template\nP36,en,France,Paris,[X] has the capital [Y]\n",
        "rows.jsonl": [row("Q142", "Q90", "France", "Paris", **words)],
        "requests.json": json.dumps([{"en": request}]),
    })  # fmt: skip
    (tmp_path / "links").mkdir()
    for file in data.iterdir():
        (tmp_path / "links" / file.name).symlink_to(file)
        assert [fact.labels["en"].object for fact in read(tmp_path / "links" / file.name).facts] == ["Paris"]


@pytest.mark.parametrize("part", ["tuples", "patterns"])
def test_half_of_a_data_set_is_none(mpararel, part):
    shutil.rmtree(mpararel / part)
    with pytest.raises(DataError, match="is no known kind of data set"):
        read(mpararel)


def test_a_pipe_in_place_of_a_file_is_refused(mpararel):
    os.mkfifo(mpararel / "tuples/en/P19.jsonl")
    with pytest.raises(DataError, match=r"P19\.jsonl is not a plain file"):
        read(mpararel)


def test_file_names_are_safe_to_print(mpararel):
    (mpararel / "tuples/en/P1\x1b[31m\n.jsonl").write_text("{}")
    found = read(mpararel)
    assert all(skip.where.isprintable() for skip in found.skips)
    assert [skip.reason for skip in found.skips if "named" in skip.reason] == ["file not named by a relation"]


def test_an_unreadable_file_is_one_sentence(mpararel, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match=r"cannot be read: Permission denied; check"):
        read(mpararel)


@pytest.mark.parametrize("limit", [1, 2, 7, 30, 61])
def test_a_limit_takes_relations_in_turn_and_grows_by_adding(limit):
    whole = read()
    some = read(limit=limit)
    assert len(some.facts) == limit
    counts = [sum(fact.relation == relation for fact in some.facts) for relation in whole.relation_names]
    sizes = [sum(fact.relation == relation for fact in whole.facts) for relation in whole.relation_names]
    assert all(count >= min(limit // len(sizes), size) for count, size in zip(counts, sizes, strict=True))
    assert {fact.id for fact in some.facts} <= {fact.id for fact in read(limit=limit + 1).facts}
    assert [fact for fact in whole.facts if fact in some.facts] == list(some.facts)


@pytest.mark.parametrize("limit", [0, None, 10**9])
def test_no_limit_takes_all(limit):
    assert read(limit=limit) == read()


def test_a_limit_prefers_facts_with_labels_and_templates_in_all_languages(plant, row):
    labels = {"en": range(40), "fr": range(30, 40), "de": range(36, 40), "ru": range(20)}
    tree = {f"tuples/{c}/P36.jsonl": [row(f"Q{n}", "O", f"s{n}", "o") for n in ns] for c, ns in labels.items()}
    tree |= {f"patterns/{c}/P36.jsonl": [{"pattern": "[X] has [Y]"}] for c in ("en", "fr", "de")}
    data = plant(tree)
    assert {fact.subject for fact in read(data, limit=4).facts} == {"Q36", "Q37", "Q38", "Q39"}
    chosen = {fact.subject for fact in read(data, limit=10, languages=["en", "fr"]).facts}
    assert chosen == {f"Q{n}" for n in range(30, 40)}


def test_a_limit_takes_facts_that_cannot_be_asked_last(plant):
    """Of P30 all templates are held out, as are those of P36 in French."""
    lines = [f"{relation},{n},o,{n},o,{code}" for relation in ("P30", "P36") for n in range(4) for code in ("en", "fr")]
    facts = "\n".join(["relation,subject_key,object_key,subject,object,language", *lines, "P36,9,o,9,o,en"])
    templates = [f"{r},{c},[X] has [Y],{r != 'P36' or c != 'en'}" for r in ("P30", "P36") for c in ("en", "fr")]
    data = plant({"facts.csv": facts, "templates.csv": "\n".join(["relation,language,template,held_out", *templates])})
    relations = [[fact.relation for fact in read(data, limit=limit).facts] for limit in (5, 7)]
    assert relations == [["P36"] * 5, ["P30"] * 2 + ["P36"] * 5]


def test_another_sample_takes_other_facts_and_grows_by_adding(plant, row):
    tree = {"tuples/en/P36.jsonl": [row(f"Q{n}", "O", f"s{n}", "o") for n in range(50)]}
    data = plant(tree | {"patterns/en/P36.jsonl": [{"pattern": "[X] has [Y]"}]})
    chosen = [{fact.id for fact in read(data, limit=9, sample=sample).facts} for sample in (0, 1, 2)]
    assert chosen[0] == set(sorted(fact.id for fact in read(data).facts)[:9])
    assert len({frozenset(each) for each in chosen}) == 3
    assert chosen[1] < {fact.id for fact in read(data, limit=20, sample=1).facts}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["en", "frr"]}, "There is no language 'frr' in bundled"),
        ({"relations": ["P36", "P0"]}, "There is no relation 'P0' in bundled"),
    ],
)
def test_what_the_bundled_set_lacks_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        read(**options)


def test_a_limit_does_not_hang_on_the_order_of_lines(plant, row):
    rows = [row(f"Q{n}", "O", f"s{n}", "o") for n in range(50)]
    patterns = {"patterns/en/P36.jsonl": [{"pattern": "[X] has [Y]"}]}
    chosen = [
        {fact.id for fact in read(plant({"tuples/en/P36.jsonl": order} | patterns), limit=9).facts}
        for order in (rows, rows[::-1])
    ]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.tsv", b" \n\n", "is empty"),
        ("a.csv", b"%PDF-1.7 ...", "is a PDF"),
        ("a.pdf", b"%PDF-1.7 ...", "is a PDF"),
        ("a.xlsx", b"PK\x03\x04...", "is a spreadsheet or an archive"),
        ("a.csv", b"relation|language|subject|object\nP1|en|a|b\n", "is split by |"),
    ],
)
def test_a_file_that_holds_no_table_is_told_by_what_it_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert f"{name} {message}" in str(caught.value)
