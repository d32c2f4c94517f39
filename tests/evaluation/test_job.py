"""The evaluation job and its views, against numbers worked out from the rows by other means."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from by_hand import put_by_hand, read_by_hand

import atlas
from atlas.engine.replacing import replacing
from atlas.errors import UsageError
from atlas.evaluation import measuring
from atlas.evaluation.interventions import partner_of
from atlas.evaluation.job import NO_NEURONS, EvaluateOptions, Job, evaluate
from atlas.facts import Fact, Label, Prompt, Template
from atlas.models import load_model
from atlas.models.readout import features_of_ids, token_probability
from atlas.models.scaling import scaled
from atlas.running.progress import Progress

pytestmark = pytest.mark.slow

METHODS = ("kn", "gradient", "random")


@pytest.fixture(scope="module")
def done(saved):
    options = EvaluateOptions(
        db=saved / "a.duckdb", methods=METHODS, method="kn", neurons=4, definition="wide", languages=("en", "fr")
    )
    with atlas.open(saved / "a.duckdb", "a") as writer:
        writer.define("wide", tau=0.06, share=0.0, min_languages=1)
    return saved, options, evaluate(options)


def rows(folder, query, *params):
    with atlas.open(folder / "a.duckdb") as opened:
        return opened.sql(query, params).to_pylist()


def test_every_condition_is_there_on_the_same_facts(done):
    _, _, found = done
    table = [r for r in found.localisation.to_pylist() if r["action"] != "inject"]
    assert {(r["method"], r["source"]) for r in table} == {(m, "top") for m in METHODS} | {("kn", "other")}
    assert {r["facts"] for r in table} == {found.facts} == {6}
    assert {(r["language"], r["action"]) for r in table} == {
        (language, action) for language in ("en", "fr") for action in ("suppress", "enhance")
    }
    cross = [r for r in found.cross_lingual.to_pylist() if r["action"] != "inject"]
    assert {r["source"] for r in cross} == {"top", "both", "likn", "other", "random"}
    assert {r["facts"] for r in cross} == {found.facts_with_likn}


def test_every_condition_has_as_many_neurons(done):
    folder, _, found = done
    counts = rows(
        folder,
        "SELECT purpose, fact, CASE purpose WHEN 'localisation' THEN languages END AS language, "
        "list(DISTINCT len(neurons)) AS sizes, count(DISTINCT source) AS sources FROM intervention "
        "WHERE source <> 'both' AND action <> 'inject' GROUP BY ALL",
    )
    assert {(row["purpose"], row["sources"]) for row in counts} == {("localisation", 2), ("cross-lingual", 4)}
    assert all(len(row["sizes"]) == 1 for row in counts)
    told = {(table, len(facts)) for (table, _), facts in found.left_out.items()}
    assert told <= {("cross_lingual", found.facts - found.facts_with_likn)}


def test_no_cell_is_missing(done):
    _, _, found = done
    for table in (found.localisation, found.cross_lingual):
        injected = pc.equal(table["action"], "inject")
        assert all(column.null_count == 0 for column in table.filter(pc.invert(injected)).columns)
        empty = {name for name in table.column_names if table.filter(injected)[name].null_count}
        assert empty == {
            "change_unrelated", "log_change_unrelated", "success_rate", "success_rate_low", "success_rate_high",
            "success_rate_both",
        }  # fmt: skip
        for name in ("log_change", "log_odds_change", "rank_change", "lost", "gained"):
            low, mean, high = (table[f"{name}{end}"].to_pylist() for end in ("_low", "", "_high"))
            assert all(a - 1e-9 <= b <= c + 1e-9 for a, b, c in zip(low, mean, high, strict=True))


def test_equal_counts(done):
    folder, _, _ = done
    counts = rows(
        folder,
        "SELECT fact, languages, count(DISTINCT len(neurons)) AS n FROM intervention "
        "WHERE purpose = 'localisation' AND source = 'top' GROUP BY ALL",
    )
    assert {row["n"] for row in counts} == {1}


def test_unrelated_prompts_are_of_another_relation_and_object(done):
    folder, _, _ = done
    found = rows(
        folder,
        "SELECT DISTINCT own.relation AS a, other.relation AS b, own.object AS c, other.object AS d "
        "FROM intervention AS i JOIN fact AS own ON own.fact = i.fact JOIN prompt USING (prompt) "
        "JOIN fact AS other ON other.fact = prompt.fact WHERE NOT i.related",
    )
    assert found
    assert all(row["a"] != row["b"] and row["c"] != row["d"] for row in found)


def test_a_row_is_what_the_model_says_under_the_intervention(done, facts):
    folder, _, _ = done
    model = load_model(str(folder / "model"))
    prompts = {prompt.id: prompt for prompt in facts.prompts()}
    for row in rows(folder, "FROM intervention WHERE action <> 'inject' ORDER BY hash(intervention, prompt) LIMIT 20"):
        neurons = list(zip(row["layers"], row["neurons"], strict=True))
        total = 0.0
        for step in model.steps(prompts[row["prompt"]]):
            with scaled(model, neurons, 0.0 if row["action"] == "suppress" else 2.0):
                query, target = torch.tensor([step.query]), torch.tensor([step.target])
                features = features_of_ids(model, torch.tensor([step.ids]), query)
                total += math.log(token_probability(model, features, target).item())
        assert row["probability_after"] == pytest.approx(math.exp(total), rel=1e-4)


def test_the_view_gives_the_means_of_the_rows(done):
    folder, _, found = done
    want = found.localisation.to_pylist()[0]
    raw = rows(
        folder,
        "SELECT i.* FROM intervention AS i JOIN prompt USING (prompt) WHERE purpose = 'localisation' AND run = ? "
        "AND source = ? AND action = ? AND prompt.language = ?",
        want["run"], want["source"], want["action"], want["language"],
    )  # fmt: skip

    def mean(related, value):
        by_fact = {}
        for row in raw:
            if row["related"] == related:
                by_fact.setdefault(row["fact"], []).append(value(row))
        return np.mean([np.mean(values) for values in by_fact.values()])

    def relative(row):
        return row["probability_after"] / row["probability_before"] - 1

    assert want["change"] == pytest.approx(mean(True, relative))
    assert want["success_rate"] == pytest.approx(mean(True, relative) / mean(False, relative))
    log = mean(True, lambda row: math.log(row["probability_after"]) - math.log(row["probability_before"]))
    assert want["log_change"] == pytest.approx(log)
    both = [r["success_rate"] for r in found.localisation.to_pylist() if same(r, want)]
    assert want["success_rate_both"] == pytest.approx(sum(both))


def same(row, want):
    return row["action"] != "inject" and all(row[key] == want[key] for key in ("run", "source", "language"))


def injected_by_hand(model, facts, row, at="query"):
    """The probabilities of the injected fact's object in a row's prompt, without and with its values put in by hand."""
    prompts = {prompt.id: prompt for prompt in facts.prompts()}
    receiver = prompts[row["prompt"]]
    own = [p for p in prompts.values() if p.fact.id == row["fact"] and [p.language] == row["languages"]]
    if row["languages"] == [receiver.language]:
        own = [p for p in own if p.template == receiver.template]
    read = [read_by_hand(model, p, at) for p in own]
    values = read[0] if len(own) == 1 else np.mean([steps.mean(0) for steps in read], axis=0)[None]
    label = Label(receiver.fact.labels[receiver.language].subject, own[0].fact.object)
    asked = Prompt(Fact(receiver.fact.relation, "s", "o", {receiver.language: label}), receiver.template)
    neurons = list(zip(row["layers"], row["neurons"], strict=True))
    return [put_by_hand(model, asked, changed, values, at) for changed in ([], neurons)]


def test_injected_values_are_those_of_the_fact_put_in_by_hand(done, facts):
    folder, _, _ = done
    model = load_model(str(folder / "model"))
    query = "FROM intervention WHERE action = 'inject' AND purpose = ? ORDER BY hash(intervention, prompt) LIMIT 15"
    for purpose in ("localisation", "cross-lingual"):
        for row in rows(folder, query, purpose):
            before, after = injected_by_hand(model, facts, row)
            assert row["probability_after"] == pytest.approx(after, rel=1e-4)
            assert row["probability_before"] == pytest.approx(before, rel=1e-4)


def test_values_are_put_into_another_fact_of_the_relation_beside_a_third_ones_and_random_neurons(done):
    folder, _, _ = done
    found = rows(
        folder,
        "SELECT i.*, own.relation AS a, own.object AS c, other.relation AS b, other.object AS d, "
        "prompt.language FROM intervention AS i JOIN fact AS own ON own.fact = i.fact JOIN prompt USING (prompt) "
        "JOIN fact AS other ON other.fact = prompt.fact WHERE action = 'inject'",
    )
    assert all(row["a"] == row["b"] and row["c"] != row["d"] for row in found)
    assert {(row["purpose"], row["source"]) for row in found} == {
        *(("localisation", source) for source in ("top", "other", "random")),
        *(("cross-lingual", source) for source in ("top", "likn", "other", "random")),
    }
    pairs = {(*row["languages"], row["language"]) for row in found if row["purpose"] == "cross-lingual"}
    assert pairs == {(a, b) for a in ("en", "fr") for b in ("en", "fr")}
    sizes = {}
    for row in found:
        place = row["languages"][0] if row["purpose"] == "localisation" else None
        sizes.setdefault((row["purpose"], row["fact"], place), set()).add(len(row["neurons"]))
    assert {len(counts) for counts in sizes.values()} == {1}


@pytest.mark.parametrize("how", ["mean", "swap"])
def test_suppressed_neurons_take_the_values_that_are_asked_for(done, facts, how):
    folder, options, zero = done
    found = evaluate(replace(options, replace=how, methods=("kn",)))
    assert found.evaluation != zero.evaluation
    assert set(found.localisation["replace"].to_pylist()) == {how}
    assert set(zero.localisation["replace"].to_pylist()) == {"zero"}
    model = load_model(str(folder / "model"))
    prompts = {prompt.id: prompt for prompt in facts.prompts()}
    query = (
        "FROM intervention WHERE evaluation = ? AND action = 'suppress' ORDER BY hash(intervention, prompt) LIMIT 12"
    )
    asked = "FROM probe JOIN run USING (run) WHERE run.method = 'kn' AND probe.status IN ('ok', 'not_converged')"
    usable = [prompts[row["prompt"]] for row in rows(folder, asked)]
    rule = replacing(model, how, usable, options.seed)
    for row in rows(folder, query, found.evaluation):
        prompt, neurons = prompts[row["prompt"]], list(zip(row["layers"], row["neurons"], strict=True))
        (values,) = rule.values([prompt])
        assert row["probability_after"] == pytest.approx(put_by_hand(model, prompt, neurons, values.numpy()), rel=1e-4)


def test_at_the_subject_values_are_those_of_the_subject(done, facts):
    folder, options, _ = done
    found = evaluate(replace(options, at="subject", replace="swap", methods=("kn",)))
    model, prompts = load_model(str(folder / "model")), list(facts.prompts())
    chosen = "FROM intervention WHERE evaluation = ? AND action = ? ORDER BY hash(intervention, prompt) LIMIT 12"
    by_id = {prompt.id: prompt for prompt in prompts}
    rule = replacing(model, "swap", prompts, options.seed, at="subject")
    for row in rows(folder, chosen, found.evaluation, "suppress"):
        prompt, neurons = by_id[row["prompt"]], list(zip(row["layers"], row["neurons"], strict=True))
        expected = put_by_hand(model, prompt, neurons, rule.values([prompt])[0].numpy(), "subject")
        assert (row["scope"], row["probability_after"]) == ("subject", pytest.approx(expected, rel=1e-4))
    injected = rows(folder, chosen, found.evaluation, "inject")
    for row in injected:
        before, after = injected_by_hand(model, facts, row, "subject")
        wanted = ("subject", pytest.approx(before, rel=1e-4), pytest.approx(after, rel=1e-4))
        assert (row["scope"], row["probability_before"], row["probability_after"]) == wanted
    assert any(row["probability_after"] != row["probability_before"] for row in injected)


def test_values_of_one_position_are_not_put_everywhere(done):
    with pytest.raises(UsageError, match="--scope"):
        evaluate(replace(done[1], replace="swap", scope="all"))


def test_doing_it_again_gives_the_same_tables(done):
    _, options, found = done
    again = evaluate(replace(options, languages=("fr", "en")))
    assert again.evaluation == found.evaluation
    assert again.localisation.equals(found.localisation)
    assert again.cross_lingual.equals(found.cross_lingual)


class Stopping(Progress):
    """Counts what is measured, and is stopped once so many interventions are."""

    def __init__(self, after=None):
        self.after, self.begun, self.measured = after, [], 0

    def start(self, total, done, things):
        self.counted = things == "interventions"
        self.begun += [(total, done)] * self.counted

    def advance(self, count):
        self.measured += count * self.counted
        if self.after is not None and self.measured >= self.after:
            raise KeyboardInterrupt


def test_what_is_there_is_not_measured_again(done):
    progress = Stopping()
    evaluate(done[1], progress)
    assert progress.measured == 0
    assert len(progress.begun) == 4
    assert all(total == before > 0 for total, before in progress.begun)


def test_a_stopped_evaluation_goes_on_and_ends_with_the_same_rows(done, tmp_path, monkeypatch):
    folder, options, _ = done
    monkeypatch.setattr(measuring, "PORTION", 50)
    found = []
    for name, stops in (("whole", []), ("stopped", [Stopping(50), Stopping(300), Stopping(150)])):
        here = tmp_path / name
        shutil.copytree(folder, here)
        with atlas.open(here / "a.duckdb", "a") as writer:
            writer.sql("DELETE FROM intervention")
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                evaluate(replace(options, db=here / "a.duckdb"), stop)
        last = Stopping()
        evaluate(replace(options, db=here / "a.duckdb"), last)
        assert sum(before for _, before in last.begun) == sum(stop.measured for stop in stops)
        assert sum(total - before for total, before in last.begun) == last.measured > 0
        found.append(rows(here, "FROM intervention ORDER BY ALL"))
    assert found[0] == found[1]


def test_in_another_number_type_it_is_another_evaluation(done, tmp_path):
    folder, options, before = done
    shutil.copytree(folder, tmp_path / "a")
    found = evaluate(replace(options, db=tmp_path / "a" / "a.duckdb", dtype="float64"))
    assert found.evaluation != before.evaluation
    conditions = ("method", "source", "language", "action", "scope")
    for table in (found.localisation, before.localisation):
        assert len(table.group_by(list(conditions)).aggregate([])) == len(table)


def test_with_more_prompts_it_is_another_evaluation(done, facts, tmp_path, monkeypatch):
    shutil.copy(done[0] / "a.duckdb", tmp_path)
    monkeypatch.setattr(measuring.Measuring, "load", lambda *_: None)
    monkeypatch.setattr("atlas.evaluation.job.doubts", lambda *_: ())
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.add_facts(replace(facts, templates=[Template("P38", "en", "[X] pays with [Y]")]))
    assert evaluate(replace(done[1], db=tmp_path / "a.duckdb")).evaluation != done[2].evaluation


def test_prompts_of_unrelated_facts_that_no_run_planned_are_stored(done, tmp_path):
    """Those of currencies in French, beside which capitals are measured: the views read no row without its prompt."""
    shutil.copytree(done[0], tmp_path / "a")
    options = replace(done[1], db=tmp_path / "a" / "a.duckdb", relations=("P36",), methods=("kn",))
    with atlas.open(options.db, "a") as writer:
        writer.sql("DELETE FROM intervention")
        writer.sql(
            "DELETE FROM prompt WHERE language = 'fr' AND fact IN (SELECT fact FROM fact WHERE relation = 'P38')"
        )
    evaluate(options)
    asked = (
        "SELECT language, relation FROM intervention JOIN prompt USING (prompt) JOIN fact ON prompt.fact = fact.fact"
    )
    found = rows(tmp_path / "a", f"{asked} WHERE NOT related")
    assert {(row["language"], row["relation"]) for row in found} == {("en", "P38"), ("fr", "P38")}
    assert rows(tmp_path / "a", "FROM intervention ANTI JOIN prompt USING (prompt)") == []


def test_a_fact_without_neurons_in_a_language_is_named_with_the_reason(done, facts, tmp_path, monkeypatch):
    shutil.copy(done[0] / "a.duckdb", tmp_path)
    monkeypatch.setattr(measuring.Measuring, "load", lambda *_: None)
    monkeypatch.setattr("atlas.evaluation.job.doubts", lambda *_: ())
    lone = replace(facts, facts=[Fact("P36", "York", "lies", {"en": Label("York", "lies")})])
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.add_facts(lone)
        writer.add_prompts(lone.prompts())
    found = evaluate(replace(done[1], db=tmp_path / "a.duckdb", methods=("kn",), replace="swap"))
    for table in ("localisation", "cross_lingual"):
        assert [fact.subject for fact in found.left_out[table, NO_NEURONS]] == ["York"]


def test_facts_without_a_partner_are_refused_before_the_scores(done, tmp_path, monkeypatch):
    shutil.copy(done[0] / "a.duckdb", tmp_path)
    monkeypatch.setattr(Job, "scored", lambda *_: pytest.fail("scores were computed"))
    with pytest.raises(UsageError, match=r"No relation .* among the 2 taken; take more facts"):
        evaluate(replace(done[1], db=tmp_path / "a.duckdb", limit=2))


def test_another_fact_is_not_one_of_the_same_subject():
    """Their prompts are the same: values put in there would be those that are there."""
    facts = [Fact("P47", subject, answer, {}) for subject, answer in ("ab", "ac", "ad", "ec")]
    assert {partner_of(facts[0], facts, seed).subject for seed in range(9)} == {"e"}
    assert partner_of(facts[0], facts[:3], 0) is None


def test_an_atlas_without_runs_is_refused(tmp_path):
    atlas.open(tmp_path / "empty.duckdb", "w").close()
    with pytest.raises(UsageError, match="holds no run"):
        evaluate(EvaluateOptions(db=tmp_path / "empty.duckdb"))
