from atlas.facts import read


def test_the_same_ids_are_one_fact_in_all_languages(mpararel, told):
    found = read(mpararel)
    facts, templates = told(found)
    assert facts == {
        ("P36", "Q142", "Q90"): {"en": ("France", "Paris"), "fr": ("France", "Paris"), "zh": ("法国", "巴黎")},
        ("P36", "Q183", "Q64"): {"en": ("Germany", "Berlin"), "fr": ("Allemagne", "Berlin")},
        ("P30", "Q142", "Q46"): {"en": ("France", "Europe")},
    }
    assert templates == {
        ("P36", "en", "[X]'s capital is [Y]"),
        ("P36", "en", "[Y] is the capital of [X]"),
        ("P36", "fr", "la capitale de [X] est [Y]"),
        ("P36", "zh", "[X]的首都是[Y]"),
        ("P30", "en", "[X] lies in [Y]"),
    }
    assert found.relation_names == {"P30": "continent", "P36": "capital"}
    assert found.source == "mpararel"
    assert not any(template.held_out for template in found.templates)


def test_a_pattern_repeated_up_to_white_space_is_counted(mpararel, skipped):
    found = read(mpararel)
    assert skipped(found) == {"template read before": 1}
    (skip,) = found.skips
    assert skip.where == f"{mpararel}/patterns/zh-hans/P36.jsonl:2"


def test_patterns_that_cannot_be_filled_are_counted(plant, row, skipped, told):
    patterns = [
        "[X] lies there",
        "[Y] lies there",
        "[X] or [X] in [Y]",
        "[X] [Y]",
        "[X] is [MASK] in [Y]",
        "[X] in [Y]",
    ]
    data = plant(
        {
            "tuples/en/P30.jsonl": [row("Q142", "Q46", "France", "Europe")],
            "patterns/en/P30.jsonl": [{"pattern": pattern} for pattern in patterns],
        }
    )
    found = read(data)
    assert told(found)[1] == {("P30", "en", "[X] in [Y]")}
    assert skipped(found) == {
        "template with no object [Y]": 1,
        "template with no subject [X]": 1,
        "template with more than one subject [X]": 1,
        "template without words": 1,
        "template with a model's own mark [MASK]": 1,
    }


def test_missing_labels_repeats_and_facts_without_templates_are_counted(plant, row, skipped, told):
    data = plant(
        {
            "tuples/en/P30.jsonl": [
                row("Q142", "Q46", "France", "Europe"),
                row("Q142", "Q46", "French Republic", "Europe"),
                row("Q183", "Q46", "Germany", None),
                row("Q38", "Q46", "  ", "Europe"),
            ],
            "tuples/fr/P30.jsonl": [row("Q142", "Q46", "France", "Europe")],
            "patterns/en/P30.jsonl": [{"pattern": "[X] in [Y]"}],
            "patterns/en/P31.jsonl": [{"pattern": "[X] is a [Y]"}],
            "patterns/not a language/P30.jsonl": [{"pattern": "[X] in [Y]"}],
            "patterns/no folder.txt": "",
        }
    )
    found = read(data)
    facts = {("P30", "Q142", "Q46"): {"en": ("France", "Europe"), "fr": ("France", "Europe")}}
    assert told(found) == (facts, {("P30", "en", "[X] in [Y]")})
    assert skipped(found) == {
        "fact read before": 1,
        "fact without a label for subject or object": 2,
        "fact without a template in its language": 1,
        "template of a relation without facts": 1,
        "folder not named by a language": 1,
    }


def test_labels_and_templates_lose_only_what_nobody_sees(plant, row, told):
    data = plant(
        {
            "tuples/fa/P30.jsonl": [row("Q1", "Q2", "\u200eآن\u200cها\u200f ", "E\u0301COLE\u00a0 d’\u00adété")],
            "patterns/fa/P30.jsonl": [{"pattern": " [X]\u3000در \u200b[Y] ."}],
        }
    )
    facts, templates = told(read(data))
    assert facts == {("P30", "Q1", "Q2"): {"fa": ("آن\u200cها", "ÉCOLE d’été")}}
    assert templates == {("P30", "fa", "[X] در [Y] .")}
