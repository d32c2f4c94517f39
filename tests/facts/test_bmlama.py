import pytest

from atlas.errors import DataError, UsageError
from atlas.facts import read
from atlas.facts.reading.texts import is_relation

HEADER = "Prompt\tAns\tCandidate Ans\tSubject"
ENGLISH = [
    ("The capital of France is <mask>.", "Paris", "France"),
    ("The capital of Germany is <mask>.", "Berlin", "Germany"),
    ("The capital of Isis is <mask>.", "Oz", "Isis"),
    ("Ann was mayor of <mask>.", "Oz", "Ann"),
]
FRENCH = [
    ("Le capital de France est <mask>.", "Paris", "France"),
    ("Le capital de Allemagne est <mask>.", "Berlin", "Allemagne"),
    ("Le capital de est est <mask>.", "Oz", "est"),
    ("Anne fut maire de <mask>.", "Oz", "Anne"),
]


def table(rows, header=HEADER, end="\r\n"):
    lines = ["\t".join((prompt, answer, "A, B", subject)) for prompt, answer, subject in rows]
    return end.join([header, *lines, ""])


def test_row_n_is_the_same_fact_with_english_keys(plant, told, skipped):
    found = read(plant({"en.tsv": table(ENGLISH), "fr.tsv": table(FRENCH)}))
    facts, templates = told(found)
    assert facts == {
        ("P36", "France", "Paris"): {"en": ("France", "Paris"), "fr": ("France", "Paris")},
        ("P36", "Germany", "Berlin"): {"en": ("Germany", "Berlin"), "fr": ("Allemagne", "Berlin")},
        ("P36", "Isis", "Oz"): {"en": ("Isis", "Oz"), "fr": ("est", "Oz")},
        ("x_was_mayor_of_y", "Ann", "Oz"): {"en": ("Ann", "Oz"), "fr": ("Anne", "Oz")},
    }
    assert templates == {
        ("P36", "en", "The capital of [X] is [Y]."),
        ("P36", "fr", "Le capital de [X] est [Y]."),
        ("x_was_mayor_of_y", "en", "[X] was mayor of [Y]."),
        ("x_was_mayor_of_y", "fr", "[X] fut maire de [Y]."),
    }
    assert found.relation_names == {"P36": "capital", "x_was_mayor_of_y": "x was mayor of y"}
    assert skipped(found) == {}


def test_keys_are_english_also_where_english_is_not_wanted(plant, told):
    data = plant({"en.tsv": table(ENGLISH), "fr.tsv": table(FRENCH)})
    facts, templates = told(read(data, languages=["fr"], relations=["P36"]))
    assert facts[("P36", "Germany", "Berlin")] == {"fr": ("Allemagne", "Berlin")}
    assert {language for _, language, _ in templates} == {"fr"}


def test_english_gives_the_keys_however_its_code_is_spelled(plant, told):
    facts, _ = told(read(plant({"eng.tsv": table(ENGLISH), "deu.tsv": table(FRENCH)})))
    assert facts["P36", "Germany", "Berlin"] == {"en": ("Germany", "Berlin"), "de": ("Allemagne", "Berlin")}


def test_without_english_the_first_language_gives_the_keys(plant, told):
    facts, _ = told(read(plant({"fr.tsv": table(FRENCH)})))
    assert ("le_capital_de_x_est_y", "Allemagne", "Berlin") in facts


def test_columns_go_by_position_whatever_the_header_says_between(plant, told):
    data = plant({"en.tsv": table(ENGLISH, header="Prompt\tAns\tCandidate\tAns\tSubject")})
    assert told(read(data))[0][("P36", "France", "Paris")] == {"en": ("France", "Paris")}


@pytest.mark.parametrize("content", [table(ENGLISH, end="\n"), "\ufeff" + table(ENGLISH)])
def test_line_ends_and_a_byte_order_mark_change_nothing(plant, told, content):
    assert told(read(plant({"en.tsv": content}))) == told(read(plant({"en.tsv": table(ENGLISH)})))


def test_quoted_cells_are_unquoted(plant, told):
    rows = [('"The capital of ""Big"" Oz is <mask>."', "Oz", '"""Big"" Oz"')]
    assert told(read(plant({"en.tsv": table(rows)}))) == (
        {("P36", '"Big" Oz', "Oz"): {"en": ('"Big" Oz', "Oz")}},
        {("P36", "en", "The capital of [X] is [Y].")},
    )


def test_a_row_without_a_subject_is_left_out_once(plant, skipped):
    rows = [*FRENCH[:3], ("Anne fut maire de <mask>.", "Oz", "")]
    found = read(plant({"en.tsv": table(ENGLISH), "fr.tsv": table(rows)}))
    assert skipped(found) == {"fact without a label for subject or object": 1}


def test_an_inflected_subject_leaves_the_fact_to_the_template_of_the_others(plant, told, skipped):
    german = [(f"Die Stadt von {name} ist <mask>.", "Stadt", name) for name in ("Frankreich", "Bayern", "Isis")]
    german[2] = ("Die Stadt der Isis-Leute ist <mask>.", "Oz", "Isisleute")
    found = read(plant({"en.tsv": table(ENGLISH[:3]), "de.tsv": table(german)}))
    facts, templates = told(found)
    assert facts[("P36", "Isis", "Oz")]["de"] == ("Isisleute", "Oz")
    assert {text for _, language, text in templates if language == "de"} == {"Die Stadt von [X] ist [Y]."}
    assert skipped(found) == {"prompt without its subject as written": 1}


def test_a_rare_slip_makes_no_template(plant, told, skipped):
    english = [(f"The capital of Land{n} is <mask>.", "Oz", f"Land{n}") for n in range(20)]
    english[7] = ("The capital ofLand7 is <mask>.", "Oz", "Land7")
    french = [(f"Le capital de Land{n} est <mask>.", "Oz", f"Land{n}") for n in range(20)]
    french[3] = ("Le capital deLand3 est <mask>.", "Oz", "Land3")
    found = read(plant({"en.tsv": table(english), "fr.tsv": table(french)}), relations=["P36"])
    assert {text for _, _, text in told(found)[1]} == {"The capital of [X] is [Y].", "Le capital de [X] est [Y]."}
    assert len(found.facts) == 19
    assert skipped(found) == {"prompt that does not follow its relation's template": 1}


def test_repeated_rows_are_one_fact(plant, skipped):
    found = read(plant({"en.tsv": table([*ENGLISH, ENGLISH[0]])}))
    assert len(found.facts) == 4
    assert skipped(found) == {"fact read before": 1}
    assert skipped(read(plant({}), relations=["x_was_mayor_of_y"])) == {}


def test_a_row_that_lacks_a_key_in_english_is_left_out_of_the_others_too(plant, told, skipped):
    english = [("The capital of France is <mask>.", "", "France"), *ENGLISH[1:]]
    found = read(plant({"en.tsv": table(english), "fr.tsv": table(FRENCH)}))
    assert {fact.subject for fact in found.facts} == {"Germany", "Isis", "Ann"}
    assert skipped(found)["row without names or relation in the language of the keys"] == 2


def test_other_files_beside_are_told(plant, skipped):
    others = {"de.tsv": "Query\tAns\tSubject\n", "fr.tsv": "Prompt\tAns\tMore\n", "it.tsv": b"Prompt\xe9\n"}
    data = plant({"all prompts.tsv": table(ENGLISH), **others})
    with pytest.raises(DataError, match=r"de.tsv:1: its header is not Prompt, Ans"):
        read(data)
    with pytest.raises(UsageError, match=r"3 × bad line: its header is not .*, 1 × file not named by a language"):
        read(data, skip_bad=True)


PROMPTS = {
    "P407": "Ann was written in <mask>.",
    "P178": "Ann is developed by <mask>.",
    "P1376": "Ann is the capital of <mask>.",
    "P1412": "Ann used to communicate in <mask>.",
    "P39": "Ann has the position of <mask>.",
    "P937": "Ann used to work in <mask>.",
    "x_was_near_y": "Ann was near <mask>.",
}
OWN_NAME = "x_is_located_in_y"


@pytest.mark.parametrize(
    "relations",
    [
        ["P407", "P30", "P178", "P1376", "P131", "P1412", "P17", "P39", "P276", "P937"],
        ["P407", "P30", "P1376", "P131", "P1412"],
        ["P1376", OWN_NAME, "P407"],
        ["P1376", "P178", OWN_NAME, "P1412"],
        ["P407", "x_was_near_y", "P178"],
        ["P407", OWN_NAME, "P39"],
        [OWN_NAME, "P1376"],
        ["P39", OWN_NAME],
    ],
)
def test_a_template_of_four_relations_is_told_by_their_order_alone(plant, relations):
    prompts = [PROMPTS.get(relation, "Ann is located in <mask>.") for relation in relations]
    rows = [(prompt, f"Oz{n}", "Ann") for n, prompt in enumerate(prompts)]
    assert [fact.relation for fact in read(plant({"en.tsv": table(rows)})).facts] == relations


def test_files_of_different_length_do_not_match(plant, skipped, told):
    data = plant({"en.tsv": table(ENGLISH), "fr.tsv": table(FRENCH[:2])})
    with pytest.raises(DataError, match=r"fr\.tsv:3: its last row is on line 3, that of the keys' file on 5"):
        read(data)
    found = read(data, skip_bad=True)
    assert {language for labels in told(found)[0].values() for language in labels} == {"en"}
    assert sum(skipped(found).values()) == 1


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("The capital of Oz is <mask>.\tOz\tA, B", "it has 3 columns in place of 4"),
        ("The capital of Oz is Oz.\tOz\tA, B\tOz", "its prompt has not exactly one <mask>"),
        ('"The capital of Oz is <mask>.\tOz\tA, B\tOz', "a quoted cell does not close on its line"),
        ("The capital of Oz is <mask>.\tO\x1bz\tA, B\tOz", r"it holds the control character U\+001B"),
    ],
)
def test_a_bad_line_is_named_and_left_out_on_request(plant, line, cause, told):
    data = plant({"en.tsv": table(ENGLISH[:1]) + line + "\r\n" + table(ENGLISH[1:2], header="").strip()})
    with pytest.raises(DataError, match=rf"en\.tsv:3: {cause}; .*--skip-bad"):
        read(data)
    assert len(read(data, skip_bad=True).facts) == 2


def test_an_unknown_relation_is_a_usage_error(plant):
    with pytest.raises(UsageError, match="it has P36, x_was_mayor_of_y"):
        read(plant({"en.tsv": table(ENGLISH)}), relations=["Q1"])


def test_one_file_is_read_alone(plant, told):
    path = plant({"fr.tsv": table(FRENCH)}) / "fr.tsv"
    facts, templates = told(read(path))
    assert facts[("le_capital_de_x_est_y", "France", "Paris")] == {"fr": ("France", "Paris")}
    assert ("le_capital_de_x_est_y", "fr", "Le capital de [X] est [Y].") in templates


def test_relations_that_differ_in_vowel_signs_are_two(plant):
    """Father and grandson, whose vowel signs are no letters to a pattern's `\\w`."""
    rows = [("राम के पिता <mask> हैं", "दशरथ", "राम"), ("राम के पोता <mask> हैं", "अतिथि", "राम")]
    facts = read(plant({"hi.tsv": table(rows)}) / "hi.tsv").facts
    assert [fact.relation for fact in facts] == ["x_के_पिता_y_हैं", "x_के_पोता_y_हैं"]


def test_long_templates_that_begin_alike_are_two_relations(plant):
    rows = [(f"Ann was {'very ' * 20}{where} <mask>.", "Oz", "Ann") for where in ("near", "far from")]
    relations = {fact.relation for fact in read(plant({"en.tsv": table(rows)})).facts}
    assert len(relations) == 2
    assert all(map(is_relation, relations))


def test_one_file_beside_the_english_one_has_the_keys_of_the_folder(plant, told):
    folder = plant({"en.tsv": table(ENGLISH), "fr.tsv": table(FRENCH), "es.tsv": "a\tb"})
    facts, _ = told(read(folder / "fr.tsv"))
    assert facts == {
        key: {"fr": labels["fr"]} for key, labels in told(read(folder, languages=["fr"], skip_bad=True))[0].items()
    }
    assert ("P36", "Germany", "Berlin") in facts


def test_a_file_whose_name_is_no_language_is_refused(plant):
    with pytest.raises(DataError, match=r"bmlama 17.tsv is not named by its language; call it en.tsv if it is English"):
        read(plant({"bmlama 17.tsv": table(ENGLISH)}) / "bmlama 17.tsv")


@pytest.mark.slow
def test_one_real_file_has_the_facts_of_the_folder(real_data):
    found = read(real_data / "bmlama17" / "fr.tsv")
    assert len(found.facts) == 6_790
    assert {(f.relation, f.subject, f.object) for f in found.facts} >= {("P19", "Charles II of Spain", "Madrid")}


def test_rows_of_which_none_has_a_relation_are_told_as_left_out(plant):
    unnamed = [("The capital of it is <mask>.", "Paris", "France")]
    with pytest.raises(UsageError, match="left out: 2 × row without names or relation in the language of the keys"):
        read(plant({"en.tsv": table(unnamed), "fr.tsv": table(FRENCH[:1])}))
