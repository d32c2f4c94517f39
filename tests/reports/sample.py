"""A small made-up atlas with rows in every table, and text that would do harm if it were more than text."""

import json
import random
from datetime import datetime

import pyarrow as pa

from atlas import schema
from atlas.facts import Fact, FactSet, Label, Template
from atlas.ids import stable_id

LAYERS, NEURONS = 6, 40
HOSTILE = "<script>alert(1)</script>"
QUOTES = "\"'); DROP TABLE fact; --"
PATH = "../../../etc/passwd"
BIDI = "\u202egnp.exe\u2066"
LONG = 300_000
ODD = (
    "nul\x00 esc\x1b[31m del\x7f \ufffe",
    "line\u2028end\u202e \U0001f468\u200d\U0001f469\U0001f1e9",
    "x" * LONG,
)
"""Texts that XML, scripts or the renderer of charts cannot take as they are."""

RELATIONS = {"P36": "capital", PATH: HOSTILE}
LANGUAGES = ("ar", "en", "zh-hans", 'x"><b onclick=alert(1)>')
_TEMPLATES = {"ar": "عاصمة [X] هي [Y]", "en": "The capital of [X] is [Y]", "zh-hans": "[X]的首都是[Y]"}
_NAMES = [
    ("France", "Paris", "فرنسا", "باريس", "法国", "巴黎"),
    ("Japan", "Tokyo", "اليابان", "طوكيو", "日本", "东京"),
    ("Egypt", "Cairo", "مصر", "القاهرة", "埃及", "开罗"),
    (HOSTILE, QUOTES, BIDI, PATH, "</table>", "&amp;"),
    (QUOTES, HOSTILE, "' onmouseover='x", "{{ 7 * 7 }}", "%s%n", "</script>"),
    (PATH, BIDI, "=1+1", "\\", "javascript:alert(1)", "]]>"),
]


def facts():
    """The facts, half of them of a relation with a hostile code."""
    labelled = []
    for number, names in enumerate(_NAMES):
        pairs = zip(names[::2], names[1::2], strict=True)
        labels = dict(zip(("en", "ar", "zh-hans"), (Label(*pair) for pair in pairs), strict=True))
        labels[LANGUAGES[3]] = Label(*names[:2])
        relation = "P36" if number < 3 else PATH
        labelled.append(Fact(relation, names[0], names[1], labels))
    templates = [
        Template(relation, language, _TEMPLATES.get(language, f"{HOSTILE} [X] [Y]") + end, held_out=end == " !")
        for relation in RELATIONS
        for language in LANGUAGES
        for end in ("", " .", " !")
    ]
    return FactSet("sample", labelled, templates, RELATIONS)


def fill(writer):
    """Load the sample into an open atlas."""
    given = facts()
    writer.add_facts(given)
    writer.add_prompts(given.prompts())
    writer.add_prompts(given.prompts(held_out=True))
    masked = _model(writer, "masked", "demo-mbert")
    causal = _model(writer, "causal", HOSTILE)
    run = _run(writer, masked, "amig", given, seed=0)
    other = _run(writer, masked, "kn", FactSet("few", given.facts[:2], given.templates), seed=0)
    _run(writer, causal, "amig", given, seed=1)
    _run(writer, _model(writer, "masked", "untrained-0:demo-mbert", "twin"), "amig", given, seed=2, twin_of=run)
    for knocked in (run, other):  # the same sets, in part
        _knock_outs(writer, knocked)
    _tokens(writer, masked, run)
    _interventions(writer, run, given)
    _edit(writer, masked, run, given)
    _claims(writer, run, given)


def _model(writer, kind, name, digest=None):
    info = {"name": name, "family": "bert", "kind": kind, "layers": LAYERS, "neurons": NEURONS, "hidden": 8}
    return writer.add_model(info | {"vocabulary": 100, "revision": None, "digest": digest or kind})


def _run(writer, model, method, given, seed, twin_of=None):
    settings, twin_seed = {"floor": 0.05}, None if twin_of is None else 0
    run = writer.start_run(
        model=model, method=method, settings=settings, seed=seed, versions={}, twin_of=twin_of, twin_seed=twin_seed
    )
    rows = {"probe": [], "probe_layer": [], "attribution": []}
    for prompt in given.prompts():
        _probe(rows, run, prompt, random.Random(f"{seed} {prompt.id}"))
    writer.load_batch({name: pa.Table.from_pylist(rows[name], schema=schema.arrow(name)) for name in rows})
    writer.finish_run(run)
    return run


def _probe(rows, run, prompt, pick):
    """Add what a prompt gave: some neurons are those of the fact, others of the language, some of chance."""
    key = {"run": run, "prompt": prompt.id}
    if pick.random() < 0.1:
        rows["probe"].append(key | {"status": "unspellable"})
        return
    shared = [(LAYERS - 1, prompt.fact.id % NEURONS), (LAYERS - 2, prompt.fact.id % 7)]
    own = (len(prompt.language) % LAYERS, stable_id("own", prompt.language) % NEURONS)
    chance = [(pick.randrange(LAYERS), pick.randrange(NEURONS)) for _ in range(3)]
    scores = dict.fromkeys(chance, 0.03) | {own: 0.08} | dict.fromkeys(shared, 0.1)
    scores = {place: value * pick.uniform(0.8, 1.2) for place, value in scores.items()}
    probability = pick.uniform(0.01, 0.9)
    rows["probe"].append(
        key
        | {
            "status": pick.choice(["ok", "ok", "ok", "not_converged"]),
            "probability": probability,
            "mean_probability": probability,
            "rank": pick.choice([1, 1, 3]),
            "prediction": pick.choice([prompt.answer, HOSTILE]),
            "tokens": json.dumps([prompt.answer]),
            "max_score": max(scores.values()),
        }
    )
    for layer in range(LAYERS):
        total = sum(score for place, score in scores.items() if place[0] == layer)
        numbers = {"layer": layer, "score_sum": total, "f": total, "f_baseline": 0.0, "nodes": 4, "score_error": 0.0}
        rows["probe_layer"].append(key | numbers | {"completeness_error": pick.uniform(0, 0.001)})
    rows["attribution"] += [
        key | {"layer": layer, "neuron": neuron, "score": score} for (layer, neuron), score in sorted(scores.items())
    ]


def _knock_outs(writer, run):
    """Make the first two knowledge neurons of each fact and language a degenerate pair, with a control."""
    found = writer.sql(
        "SELECT fact, language, list([layer, neuron] ORDER BY score DESC)[:2] AS pair FROM knowledge_neuron_all "
        "WHERE run = ? AND definition = 'default' GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL",
        [run],
    ).to_pylist()
    prompts = writer.sql(
        "SELECT prompt, fact, language FROM probe JOIN prompt USING (prompt) "
        "WHERE run = ? AND status IN ('ok', 'not_converged') ORDER BY prompt",
        [run],
    ).to_pylist()
    rows = []
    for item in found:
        pair = [tuple(neuron) for neuron in item["pair"]]
        for control in (False, True):
            members = [(layer, neuron + (50 if control else 0)) for layer, neuron in pair]
            for chosen in ([members[0]], [members[1]], sorted(members)):
                twin = stable_id("set", [list(n) for n in sorted(pair)]) if control else None
                for prompt in prompts:
                    if (prompt["fact"], prompt["language"]) == (item["fact"], item["language"]):
                        rows.append(_knock_out(run, prompt["prompt"], chosen, control, twin))
    writer.load("knockout", pa.Table.from_pylist(rows, schema=schema.arrow("knockout")))


def _knock_out(run, prompt, neurons, control, twin):
    return {
        "run": run,
        "prompt": prompt,
        "set": stable_id("set", [list(n) for n in neurons]),
        "control": control,
        "size": len(neurons),
        "layers": [layer for layer, _ in neurons],
        "neurons": [neuron for _, neuron in neurons],
        "before": 0.5,
        "after": 0.45 if len(neurons) == 1 or control else 0.1,
        "twin": twin,
        "replace": "zero",
        "other": None,
    }


def _tokens(writer, model, run):
    places = writer.sql("SELECT DISTINCT layer, neuron FROM knowledge_neuron_all WHERE run = ?", [run]).to_pylist()
    rows = [
        {"model": model, **place, "direction": direction, "rank": rank, "token": token, "score": sign * (9.0 - rank)}
        for place in places
        for direction, sign in (("promotes", 1), ("demotes", -1))
        for rank, token in enumerate([" Paris", HOSTILE, "ال", "巴", "\n"], start=1)
    ]
    writer.load("neuron_token", pa.Table.from_pylist(rows, schema=schema.arrow("neuron_token")))
    numbers = {"mean": 0.25, "deviation": 0.5, "q05": -0.1, "q25": 0.0, "q50": 0.1, "q75": 0.4, "q95": 1.5}
    rows = [
        {"model": model, "language": language, "position": "query", **place, "prompts": 7, **numbers}
        for place in places
        for language in LANGUAGES[:2]
    ]
    writer.load("neuron_activation", pa.Table.from_pylist(rows, schema=schema.arrow("neuron_activation")))


def _interventions(writer, run, given):
    rows = []
    for fact in given.facts:
        for language in LANGUAGES[:3]:
            for action in ("suppress", "enhance"):
                for purpose, source, languages in (
                    ("localisation", "top", [language]),
                    ("localisation", "other", [language]),
                    ("cross-lingual", "likn", list(LANGUAGES[:3])),
                    ("cross-lingual", "random", [language]),
                ):
                    rows += _measured(run, fact, language, action, purpose, source, languages, given)
    writer.load("intervention", pa.Table.from_pylist(rows, schema=schema.arrow("intervention")))


def _measured(run, fact, language, action, purpose, source, languages, given):
    identity = stable_id("intervention", run, fact.id, language, action, purpose, source)
    for prompt in given.prompts():
        if prompt.language == language and (prompt.fact.id == fact.id or prompt.fact.relation != fact.relation):
            pick = random.Random(f"{identity} {prompt.id}")
            after = 0.5 * (pick.uniform(0.1, 0.9) if action == "suppress" else pick.uniform(1, 1.5))
            yield {
                "intervention": identity,
                "evaluation": stable_id("evaluation"),  # one of both tables, as a command measures them
                "purpose": purpose,
                "run": run,
                "fact": fact.id,
                "languages": languages,
                "source": source,
                "action": action,
                "scope": "query",
                "layers": [1, 2],
                "neurons": [3, 4],
                "prompt": prompt.id,
                "related": prompt.fact.id == fact.id,
                "probability_before": 0.5,
                "probability_after": after if prompt.fact.id == fact.id else 0.5,
                "rank_before": 1,
                "rank_after": 1 if after > 0.3 else 4,
                "argmax_before": True,
                "argmax_after": after > 0.3,
                "replace": "zero",
            }


def _edit(writer, model, run, given):
    fact = given.facts[0]
    edit = stable_id("edit", fact.id)
    row = {
        "edit": edit,
        "model": model,
        "fact": fact.id,
        "run": run,
        "object": HOSTILE,
        "languages": ["en", "ar"],
        "method": "fit",
        "source": "likn",
        "settings": "{}",
        "layers": [LAYERS - 1],
        "neurons": [fact.id % NEURONS],
        "digest": "0",
        "file": PATH,
        "status": "made",
        "created": datetime(2026, 1, 1),
    }
    writer.load("edit", pa.Table.from_pylist([row], schema=schema.arrow("edit")))
    measures = {True: "efficacy", False: "locality"}
    outcomes = [
        {
            "edit": edit,
            "measure": measures[prompt.fact.id == fact.id],
            "prompt": prompt.id,
            "answer": HOSTILE if prompt.fact.id == fact.id else prompt.answer,
            "known": True,
            "probability_before": 0.01,
            "probability_after": 0.9,
            "rank_before": 9,
            "rank_after": 1,
            "argmax_before": False,
            "argmax_after": True,
            "same_argmax": False,
            "kl": 0.5,
        }
        for prompt in given.prompts()
    ]
    writer.load("edit_outcome", pa.Table.from_pylist(outcomes, schema=schema.arrow("edit_outcome")))


def _claims(writer, run, given):
    claims, verdicts = [], []
    for number, (fact, truth) in enumerate((fact, truth) for fact in given.facts for truth in (True, False)):
        claim = stable_id("claim", fact.id, truth)
        claims.append(
            {
                "claim": claim,
                "fact": fact.id,
                "language": "en",
                "relation": fact.relation,
                "subject": fact.labels["en"].subject,
                "object": fact.labels["en"].object if truth else HOSTILE,
                "texts": ["[Y]"],
                "condition": "plain",
                "truth": truth,
                "split": "test",
            }
        )
        for evidence, right in (("dkn", number % 4 != 0), ("probability", number % 3 != 0)):
            verdicts.append(
                {
                    "evaluation": 1,
                    "run": run,
                    "claim": claim,
                    "evidence": evidence,
                    "source_language": "en",
                    "score": 1.0 + number if truth == right else -1.0 - number,
                    "threshold": 0.0,
                    "supported": truth == right,
                    "status": "ok",
                }
            )
    writer.load("claim", pa.Table.from_pylist(claims, schema=schema.arrow("claim")))
    writer.load("verdict", pa.Table.from_pylist(verdicts, schema=schema.arrow("verdict")))
