"""`--ask` and `--examples`: templates put otherwise than their source does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atlas
from atlas.building.job import BuildOptions, build
from atlas.facts import read
from atlas.facts.facts import OBJECT, Fact, FactSet, Label, Template
from atlas.facts.wording import reworded
from atlas.models import load_model

CAPITALS = ("France,Paris", "Japan,Tokyo", "Norway,Oslo", "Germany,Paris", "Spain,Madrid", "Italy,Madrid")


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "facts.csv"
    lines = [f"P36,{pair},en,[Y] is the capital of [X]." for pair in CAPITALS]
    path.write_text(
        "\n".join(("relation,subject,object,language,template", *lines, "P30,France,Europe,en,[X] is in [Y]."))
    )
    return str(path)


def test_the_sentence_is_stated_with_its_place_open_then_asked_for_after_examples_of_rare_objects(dataset):
    found = reworded(read(dataset), ask=True)
    own = [prompt for prompt in found.prompts() if prompt.fact.relation == "P36"]
    assert {prompt.fact.labels["en"].subject for prompt in own} == {"France", "Germany", "Spain", "Italy"}
    for prompt in own:
        *examples, question = prompt.before.splitlines()
        subject = prompt.fact.labels["en"].subject
        assert question == f"___ is the capital of {subject}. ___ = "
        assert sorted(examples) == [
            "___ is the capital of Japan. ___ = Tokyo", "___ is the capital of Norway. ___ = Oslo",
        ]  # fmt: skip
    assert [(skip.where, skip.count) for skip in found.skips] == [("--examples", 2)]


def test_scripts_without_spaces_get_none():
    fact = Fact("R", "S", "O", {"zh": Label("法国", "巴黎")})
    (template,) = reworded(FactSet("table", [fact], [Template("R", "zh", "[Y]是[X]的首都。")]), ask=True).templates
    assert template.text == "___是[X]的首都。 ___ =[Y]"


def test_an_answer_within_an_example_s_name_is_shown_too():
    pairs = {"a": "Africa", "b": "Africa", "c": "South Africa", "South Asia": "Iran", "d": "Asia", "e": "Oceania"}
    pairs |= dict.fromkeys("xyz", "Europe")
    facts = [Fact("R", subject, name, {"en": Label(subject, name)}) for subject, name in pairs.items()]
    found = reworded(FactSet("table", facts, [Template("R", "en", "[X] is in [Y]")]), examples=4)
    assert [prompt.answer for prompt in found.prompts()] == ["Europe"] * 3


def test_facts_are_left_out_in_the_languages_that_show_them_alone():
    labels = [dict.fromkeys(("en", "de"), Label(f"s{name}", name)) for name in "xyz"]
    facts = [Fact("R", own["en"].subject, own["en"].object, own) for own in labels]
    templates = [Template("R", "en", "[X] has [Y]"), Template("R", "de", "[Y] ist von [X].")]
    found = reworded(FactSet("table", facts, templates), ask=True)
    assert sorted(prompt.language for prompt in found.prompts()) == ["de", "en", "en", "en"]


def test_a_question_that_the_source_asks_itself_is_asked_once():
    asked, stated = (Template("R", "en", text) for text in ("___ is in [X]. ___ = [Y]", "[Y] is in [X]."))
    assert reworded(FactSet("table", [], [stated, asked]), ask=True).templates == [asked]


@given(
    texts=st.lists(
        st.lists(st.sampled_from(["[X]", OBJECT, "is", "。", " ", "的"]), min_size=1, max_size=6).map("".join),
        min_size=1, max_size=3,
    ),
    objects=st.lists(st.sampled_from("abcd"), max_size=8),
    ask=st.booleans(),
    examples=st.none() | st.integers(0, 3),
)  # fmt: skip
def test_laws(texts, objects, ask, examples):
    """No prompt shows its answer; with `ask` every template ends in its object; the kind tells what was changed."""
    facts = [Fact("R", f"s{n}", name, {"en": Label(f"s{n}", name)}) for n, name in enumerate(objects)]
    templates = [Template("R", "en", text) for text in texts]
    found = reworded(FactSet("table", facts, templates), ask, examples)
    for before, after in zip(templates, found.templates, strict=True):
        assert after.ends_in_object or not ask
        assert (after.kind == "asked") == (ask and not before.ends_in_object)
        assert (after == before) == (after.kind == "stated")
        assert "\n" in after.text or after.kind != "shown"
        shown = (2 if after.kind == "asked" else 0) if examples is None else examples
        assert after.text.count("\n") <= shown
    lines = {line for prompt in found.prompts() for line in prompt.before.splitlines()[:-1]}
    answers = {prompt.answer for prompt in found.prompts() if prompt.template.kind != "stated"}
    assert not any(answer in line for line in lines for answer in answers)
    assert len(found.facts) + sum(skip.count for skip in found.skips) == len(facts)
    assert all(skip.count for skip in found.skips)
    assert reworded(FactSet("table", facts[::-1], templates), ask, examples).templates == found.templates


@pytest.mark.slow
def test_a_causal_model_uses_what_it_could_not_and_says_so(dataset, tmp_path):
    counts = {}
    for ask in (False, True):
        path = tmp_path / f"{ask}.duckdb"
        options = {"dataset": dataset, "ask": ask, "db": path, "settings": {"method": "gradient"}}
        counts[ask] = build(BuildOptions("demo-mgpt", **options)).attributed
    with atlas.open(path) as opened:
        rows = opened.sql("SELECT relation, usable, reworded FROM fact_language JOIN fact USING (fact)").to_pylist()
        warned = opened.sql("SELECT count(*) FROM usage_warning WHERE warning = 'reworded prompts'").to_pylist()
        kinds = opened.sql("SELECT kind, count(*) AS n FROM template GROUP BY kind ORDER BY kind").to_pylist()
    assert sorted((r["relation"], r["usable"], r["reworded"]) for r in rows) == [("P30", 1, 0), *[("P36", 1, 1)] * 4]
    assert list(warned[0].values()) == [4]
    assert [(k["kind"], k["n"]) for k in kinds] == [("asked", 1), ("stated", 1)]
    assert list(counts.values()) == [1, 5]


@pytest.mark.parametrize("name", ["demo-mbert", "demo-mgpt"])
def test_examples_are_no_words_of_the_query(tmp_path, name):
    path = tmp_path / "facts.csv"
    lines = (f"P36,{pair},en,The capital of [X] is [Y]." for pair in CAPITALS)
    path.write_text("\n".join(["relation,subject,object,language,template", *lines]))
    model = load_model(name, device="cpu")
    plain, shown = ({p.fact.id: p for p in reworded(read(path), examples=n).prompts()} for n in (0, 2))
    for key, prompt in shown.items():
        before, after = model.steps(plain[key])[0], model.steps(prompt)[0]
        assert len(after.ids) > len(before.ids) + 2
        words = [[[step.ids[place] for place in word] for word in step.words] for step in (before, after)]
        assert words[0] == words[1]
    assert len(shown) == 4
