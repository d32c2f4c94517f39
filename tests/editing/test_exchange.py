"""Request JSON of others, both ways."""

import csv
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import atlas
from atlas.editing import exchange
from atlas.editing.exchange import Converted, requests_from_json, requests_to_json
from atlas.editing.requests import Target, read_requests
from atlas.errors import DataError, UsageError
from atlas.facts import FactSet, Prompt, read

COUNTERFACT = {
    "case_id": 0,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "English", "id": "Q1860"},
        "target_true": {"str": "French", "id": "Q150"},
        "subject": "Ann Example",
    },
    "paraphrase_prompts": ["Some text. Ann Example spoke the language"],
    "neighborhood_prompts": ["Someone else is a native speaker of"],
}
ZSRE = {
    "subject": "Ann Example",
    "src": "What university did Ann Example attend?",
    "rephrase": "Where did Ann Example study?",
    "answers": ["Trinity College"],
    "alt": "University of Michigan",
    "loc": "who sang it",
    "loc_ans": "someone",
}
EASYEDIT = {
    "case_id": 3,
    "prompt": "Which city is the capital of Examplia?",
    "target_new": "Foo",
    "ground_truth": "Bar",
    "subject": "Examplia",
    "rephrase_prompt": "Examplia's capital:",
    "locality": {},
    "portability": {},
}
MZSRE = {"en": ZSRE, "zh": {**ZSRE, "src": "Ann Example上的是哪所大学？", "rephrase": "Ann Example在哪里读书？"}}
ALL = [COUNTERFACT, ZSRE, EASYEDIT, MZSRE]

REWRITE = COUNTERFACT["requested_rewrite"]


@pytest.fixture
def folder(tmp_path):
    def convert(items):
        (tmp_path / "in.json").write_text(json.dumps(items), "utf-8")
        return requests_from_json(tmp_path / "in.json", tmp_path / "out"), tmp_path / "out"

    return convert


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("item", ALL)
def test_every_layout_becomes_a_fact_that_can_be_read(folder, item):
    converted, out = folder([item])
    assert converted.edits == 1
    assert not converted.skipped
    facts = read(str(out))
    (fact,) = facts.facts
    (request,) = read_requests(out / "edits.csv")
    assert request.fact == fact.subject
    assert set(request.objects) == set(fact.labels)
    assert {template.held_out for template in facts.templates} == {False, True}
    assert all(template.ends_in_object for template in facts.templates)


def test_counterfact_word_by_word(folder):
    _, out = folder([COUNTERFACT])
    assert all(b"\r" not in path.read_bytes() for path in out.iterdir())
    assert [(row["template"], row["held_out"]) for row in rows(out / "templates.csv")] == [
        ("The mother tongue of [X] is [Y]", "0"),
        ("Some text. [X] spoke the language [Y]", "1"),
    ]
    assert rows(out / "edits.csv") == [
        {"fact": "Ann Example", "relation": "P103", "languages": "en", "object_en": "English"}
    ]


def test_a_subject_within_other_words_of_a_counterfact_prompt_keeps_its_place(folder):
    rewrite = COUNTERFACT["requested_rewrite"] | {"prompt": "The Roman name of {} is", "subject": "Roma"}
    converted, out = folder([COUNTERFACT | {"requested_rewrite": rewrite, "paraphrase_prompts": []}])
    assert converted == Converted(1)
    assert [row["template"] for row in rows(out / "templates.csv")] == ["The Roman name of [X] is [Y]"]
    (fact,), (template,) = (found := read(str(out))).facts, found.templates
    target = Target(fact, "English", {"en": "English"}, ("en",))
    sent = exchange._request("rome", 0, target, "en", [Prompt(fact, template)], [])
    assert sent["requested_rewrite"]["prompt"] == rewrite["prompt"]


def test_paraphrases_that_cannot_be_used_are_counted(folder):
    paraphrases = [*COUNTERFACT["paraphrase_prompts"], "Nobody spoke", "Ann Example, or Ann Example, spoke"]
    converted, out = folder([COUNTERFACT | {"paraphrase_prompts": paraphrases}])
    assert converted == Converted(1, {"a paraphrase does not name the subject once": 2})
    assert len(rows(out / "templates.csv")) == 2


def test_mzsre_keeps_its_languages_together(folder):
    _, out = folder([MZSRE])
    assert [row["languages"] for row in rows(out / "edits.csv")] == ["en zh"]
    assert "[X]上的是哪所大学？[Y]" in [row["template"] for row in rows(out / "templates.csv")]


def test_what_cannot_be_used_is_counted(folder):
    converted, _ = folder([COUNTERFACT, {"a": 1}, {**ZSRE, "src": "Where?"}, {"prompt": "x"}])
    assert converted.edits == 1
    assert sum(converted.skipped.values()) == 3


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (COUNTERFACT | {"requested_rewrite": REWRITE | {"prompt": "{} is <mask> in"}}, "model's own mark <mask>"),
        (COUNTERFACT | {"requested_rewrite": REWRITE | {"subject": "Ann\x01"}}, "the control character U+0001"),
        (COUNTERFACT | {"requested_rewrite": "Ann Example"}, "a field is missing or of another kind: string"),
        (COUNTERFACT | {"paraphrase_prompts": [5]}, "a field is missing or of another kind: 'int'"),
        ({"en": {"src": "Where?"}}, "a field is missing or of another kind: list index"),
        (EASYEDIT | {"prompt": "[X], Examplia's capital, is"}, "more than one subject [X]"),
        (COUNTERFACT | {"requested_rewrite": [REWRITE, REWRITE]}, "several rewrites in one request"),
        (EASYEDIT | {"ground_truth": " "}, "the subject or an answer is empty"),
        (COUNTERFACT | {"requested_rewrite": REWRITE | {"subject": " "}}, "the subject or an answer is empty"),
        (EASYEDIT | {"prompt": "", "rephrase_prompt": None}, "no wording names the subject"),
        (EASYEDIT | {"prompt": ["Examplia's capital is"]}, "no wording names the subject"),
        (EASYEDIT | {"target_new": [["Foo"]]}, "a field is missing or of another kind: list for an answer"),
        (EASYEDIT | {"ground_truth": {"str": "Bar"}}, "a field is missing or of another kind: dict for an answer"),
        ({key: text for key, text in EASYEDIT.items() if key != "ground_truth"}, "of another kind: 'pred'"),
    ],
)
def test_a_request_that_can_be_no_edit_is_left_out_and_says_why(folder, request_, reason):
    converted, _ = folder([ZSRE, request_])
    assert converted.edits == 1
    assert reason in [*converted.skipped][-1]


def test_a_request_without_a_new_object_is_left_out(folder):
    rewrite = COUNTERFACT["requested_rewrite"] | {"target_new": {"str": None}}
    lacking = [{**EASYEDIT, "target_new": None}, {**ZSRE, "alt": []}, {**COUNTERFACT, "requested_rewrite": rewrite}]
    lacking += [{key: text for key, text in EASYEDIT.items() if key != "target_new"}]
    converted, _ = folder([COUNTERFACT, *lacking])
    assert converted == Converted(1, {"the subject or an answer is empty": 4})


@pytest.mark.parametrize("field", ["ground_truth", "answers", "old", "pred"])
def test_the_old_object_goes_by_any_of_its_names(folder, field):
    lacking = {key: text for key, text in EASYEDIT.items() if key != "ground_truth"}
    _, out = folder([lacking | {field: "Bar"}])
    assert [row["object"] for row in rows(out / "facts.csv")] == ["Bar"]


def test_a_counterfact_prompt_may_name_the_subject_itself(folder):
    _, out = folder([COUNTERFACT | {"requested_rewrite": REWRITE | {"prompt": "The mother tongue of Ann Example is"}}])
    assert next(row["template"] for row in rows(out / "templates.csv")) == "The mother tongue of [X] is [Y]"


def test_a_paraphrase_that_no_reader_of_facts_takes_is_counted_and_left_out(folder):
    converted, out = folder([EASYEDIT | {"rephrase_prompt": ["Examplia, a <mask>, has", "Examplia", None]}])
    assert converted.edits == 1
    assert [*converted.skipped.values()] == [1, 1]
    assert [row["template"] for row in rows(out / "templates.csv")] == ["Which city is the capital of [X]? [Y]"]


def test_parts_of_an_mzsre_item_that_are_no_questions_are_no_languages(folder):
    """The first language's subject is that of languages which name none."""
    bare = {key: text for key, text in MZSRE["zh"].items() if key != "subject"}
    second = {**ZSRE, "subject": "Ann Example", "src": "Quelle université Ann Example fréquentait-elle ?"}
    converted, out = folder([{"note": "src", "portability": {"un": "x"}, "en": ZSRE, "fr": second, "zh": bare}])
    assert converted == Converted(1)
    assert [row["languages"] for row in rows(out / "edits.csv")] == ["en fr zh"]
    other = {**second, "subject": "Bob", "src": "Où Bob étudiait-il ?", "rephrase": "Où est Bob ?"}
    _, out = folder([{"en": ZSRE, "fr": other, "zh": bare}])
    assert [row["subject"] for row in rows(out / "facts.csv")] == ["Ann Example", "Bob", "Ann Example"]


def test_a_language_that_no_reader_of_facts_takes_is_left_out_alone(folder):
    """In every request anew: a control character in an answer, and a question without words."""
    item = {"en": ZSRE, "fr": {**ZSRE, "alt": "\x01"}, "zh": {"src": "", "answers": ["a"], "alt": "b"}}
    converted, out = folder([item, EASYEDIT, item])
    assert converted == Converted(3, {
        "language fr of a request: it holds the control character U+0001": 2,
        "language zh of a request: no wording names the subject": 2,
    })  # fmt: skip
    assert [row["languages"] for row in rows(out / "edits.csv")] == ["en"] * 3


def test_numbers_are_names_too(folder):
    """A book whose title is a year, and years as answers, unquoted."""
    part = {"subject": 1984, "src": "When was 1984 written?", "answers": [1948], "alt": 1950}
    converted, out = folder([{"en": part}])
    assert converted == Converted(1)
    (fact,), (edit,) = rows(out / "facts.csv"), rows(out / "edits.csv")
    assert (fact["subject"], fact["object"], edit["object_en"]) == ("1984", "1948", "1950")


def test_the_languages_of_new_objects_come_in_the_order_of_their_codes(folder):
    codes = ["nl", "de", "sv", "cs", "hu", "en", "fi"]
    _, out = folder([dict.fromkeys(codes, ZSRE)])
    header = (out / "edits.csv").read_text("utf-8").splitlines()[0]
    assert header == ",".join(["fact", "relation", "languages", *(f"object_{code}" for code in sorted(codes))])


@pytest.mark.parametrize("turn", [1, -1])
def test_a_template_to_edit_with_is_none_that_is_held_out_for_another_request(folder, turn):
    one = EASYEDIT | {"relation": "capital", "prompt": "Examplia has the capital"}
    other = one | {"prompt": "Examplia is ruled from", "rephrase_prompt": one["prompt"]}
    _, out = folder([one, other][::turn])
    held = {row["template"]: row["held_out"] for row in rows(out / "templates.csv")}
    assert held == {"[X] has the capital [Y]": "0", "[X] is ruled from [Y]": "0", "[X]'s capital: [Y]": "1"}


def test_of_several_new_objects_the_first_is_taken_and_of_paraphrases_all(folder):
    many = {"target_new": ["Foo", "Baz"], "rephrase_prompt": ["Examplia's capital:", "The capital of Examplia is"]}
    _, out = folder([EASYEDIT | many])
    assert [row["object_en"] for row in rows(out / "edits.csv")] == ["Foo"]
    held = [row["template"] for row in rows(out / "templates.csv") if row["held_out"] == "1"]
    assert held == ["[X]'s capital: [Y]", "The capital of [X] is [Y]"]


@pytest.mark.parametrize("code", ["zh-cn", "zh_cn", "zho_Hans", "yue"])
def test_the_object_follows_a_chinese_question_without_a_space_however_the_code_is_spelled(folder, code):
    _, out = folder([MZSRE["zh"] | {"language": code, "src": f"{MZSRE['zh']['src']} "}])
    assert "[X]上的是哪所大学？[Y]" in [row["template"] for row in rows(out / "templates.csv")]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[]", '[{"a": 1}]'])
def test_other_json_is_refused(tmp_path, text):
    (tmp_path / "in.json").write_text(text)
    with pytest.raises(DataError):
        requests_from_json(tmp_path / "in.json", tmp_path / "out")


@pytest.mark.quick(1)
@pytest.mark.parametrize("style", ["rome", "easyedit"])
def test_there_and_back(folder, tmp_path, style):
    _, out = folder(ALL)
    with atlas.open(tmp_path / "a.duckdb", "w") as writer:
        writer.add_facts(read(str(out)))
    sent = requests_to_json(tmp_path / "a.duckdb", out / "edits.csv", tmp_path / "sent.json", style=style)
    assert sent.edits == 5  # MzsRE's two languages are two requests
    again = requests_from_json(tmp_path / "sent.json", tmp_path / "again")
    assert again.edits == 5
    texts = [
        {r["template"] for r in rows(place / "templates.csv") if r["held_out"] == "0"}
        for place in (out, tmp_path / "again")
    ]
    assert texts[0] == texts[1]
    objects = [
        sorted(v for r in rows(p / "edits.csv") for k, v in r.items() if k.startswith("object_") and v)
        for p in (out, tmp_path / "again")
    ]
    assert objects[0] == objects[1]


@pytest.fixture
def sent(folder, tmp_path):
    """What an atlas of the request of zsRE with these templates sends as request JSON, and what it counts."""

    def send(templates, style):
        _, out = folder([ZSRE])
        facts = read(str(out))
        (fact,), lacking = facts.facts, facts.templates[0]
        made = [replace(lacking, text=text, held_out=held) for text, held in templates]
        with atlas.open(tmp_path / "b.duckdb", "w") as writer:
            writer.add_facts(FactSet("made", [fact], made))
        return requests_to_json(tmp_path / "b.duckdb", out / "edits.csv", tmp_path / "sent.json", style=style), [
            *json.loads((tmp_path / "sent.json").read_text("utf-8"))
        ]

    return send


def test_prompts_and_paraphrases_of_a_request_end_in_the_object(sent):
    """Held-out templates come before others that were not needed, and the object is where a request has no word of."""
    templates = [("[X] went to [Y]", False), ("[Y] taught [X]", False), ("[X] was at [Y]", False),
                 ("[X] learnt at [Y]", True), ("At [Y] was [X]", True)]  # fmt: skip
    converted, (request,) = sent(templates, "easyedit")
    assert converted == Converted(1)
    first, second, third = (f"Ann Example {words}" for words in ("went to", "was at", "learnt at"))
    assert (request["prompt"], request["rephrase_prompt"]) in {(first, third), (second, third)}
    assert (request["ground_truth"], request["target_new"]) == ("Trinity College", "University of Michigan")
    assert request["case_id"] == 0
    assert "requested_rewrite" not in request


def test_all_other_prompts_of_a_rome_request_are_paraphrases_the_held_out_ones_first(sent):
    texts = {"[X] went to [Y]": False, "[X] was at [Y]": False, "[X] sat in [Y]": False, "[X] learnt at [Y]": True}
    _, (request,) = sent(list(texts.items()), "rome")
    first, (held, *others) = request["requested_rewrite"]["prompt"], request["paraphrase_prompts"]
    assert held == "Ann Example learnt at"
    assert first.startswith("{} ")
    wanted = [f"Ann Example {words}" for words in ("sat in", "was at", "went to")]
    assert sorted([first.replace("{}", "Ann Example"), *others]) == wanted


def test_a_single_template_has_no_paraphrase(sent):
    assert sent([("[X] went to [Y]", False)], "easyedit")[1][0]["rephrase_prompt"] == ""


def test_a_template_that_names_the_subject_twice_has_one_open_place(sent):
    _, (request,) = sent([("[X], by the name of [X], went to [Y]", False)], "rome")
    assert request["requested_rewrite"]["prompt"] == "{}, by the name of Ann Example, went to"


def test_a_request_is_not_sent_where_no_template_ends_in_the_object(sent):
    assert sent([("[Y] taught [X]", False)], "rome") == (Converted(0, {"no template in en ends in the object": 1}), [])


def test_an_unknown_style_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--style"):
        requests_to_json(tmp_path / "a", tmp_path / "b", tmp_path / "c", style="other")


PHRASE = st.text(st.characters(codec="utf-8"), max_size=12)
NAME = st.text(st.sampled_from("abÉ東 '\"“,;\t\n[]{}"), min_size=1, max_size=8)
ASKED = st.builds(
    lambda relation, subject, old, new, code, text: {
        "relation": relation,
        "subject": subject,
        "prompt": text.replace("S", subject),
        "rephrase_prompt": f"so {subject}:",
        "ground_truth": old,
        "target_new": new,
        "language": code,
    },
    PHRASE, NAME, NAME, NAME,
    st.sampled_from(["en", "zh", "zh-Hans", "be-tarask", "pt_br", "English!", "", "e"]),
    st.sampled_from(["What is S", "S 'is\" of", "S,S is", "S"]),
)  # fmt: skip


SPELT_TWICE = [
    {"subject": "S", "prompt": "What is S", "ground_truth": "a", "target_new": "b", "language": code}
    for code in ("zh", "zh-Hans")
]


@pytest.mark.slow
@given(st.lists(ASKED, min_size=1, max_size=5))
@example(SPELT_TWICE)
def test_what_convert_writes_is_read_and_what_it_drops_is_counted(tmp_path_factory, items):
    """Whatever relations, languages and quotes: edits and facts come back, one for each request not left out."""
    folder = tmp_path_factory.mktemp("convert")
    (folder / "in.json").write_text(json.dumps(items), "utf-8")
    converted = Converted(0)
    with suppress(DataError):  # where none is left
        converted = requests_from_json(folder / "in.json", folder / "out")
    if not converted.edits:
        assert not (folder / "out").exists()
        return
    left_out = sum(count for reason, count in converted.skipped.items() if "paraphrase" not in reason)
    assert converted.edits + left_out == len(items)
    facts = read(str(folder / "out"))
    assert not facts.skips
    known = {(fact.relation, fact.subject): set(fact.labels) for fact in facts.facts}
    requests = read_requests(folder / "out" / "edits.csv")
    assert len(requests) == converted.edits
    for request in requests:
        assert (request.relation, request.fact) in known
        assert set(request.objects) == set(request.languages)


def test_relations_of_equal_names_stay_apart(folder):
    items = [
        {**EASYEDIT, "relation": name} for name in ("capital city", "capital_city", "capital-city", "capital  city")
    ]
    _, out = folder(items)
    names = [row["relation"] for row in rows(out / "edits.csv")]
    assert names[:1] == ["capital_city"]
    assert len(set(names)) == 4
    assert {fact.relation for fact in read(str(out)).facts} == set(names)
    _, out = folder([*items[:2], {**EASYEDIT, "relation": names[1]}])
    assert len({row["relation"] for row in rows(out / "edits.csv")}) == 3


def test_relations_that_differ_in_their_last_words_alone_stay_apart(folder):
    """A name is cut to what may name a relation, and so is one of two that are cut alike."""
    phrases = [f"{'the town in which the seat of the government of ' * 2}{which} lies" for which in ("one", "two")]
    _, out = folder([{**EASYEDIT, "relation": phrase} for phrase in phrases])
    names = {row["relation"] for row in rows(out / "edits.csv")}
    assert len(names) == 2
    assert {fact.relation for fact in read(str(out)).facts} == names


def test_a_language_left_out_is_counted(folder):
    converted, out = folder([{"en": ZSRE, "zh": {**ZSRE, "subject": "别人"}}])
    assert converted.edits == 1
    assert converted.skipped == {"language zh of a request: no wording names the subject": 1}
    assert set(read(str(out)).facts[0].labels) == {"en"}
