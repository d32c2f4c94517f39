"""`atlas build` from end to end, on tiny models."""

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from queue import Queue

import pytest
from content import content

import atlas
from atlas import attribution
from atlas.building.plan import Shard
from atlas.building.summary import Summary
from atlas.cli.output.progress import LOG_SECONDS, TerminalProgress
from atlas.cli.output.summary import show
from atlas.store.digest import digest

# Two facts in English and in French with two templates each, two in Chinese and one currency with one.
PROMPTS = 2 * 2 + 2 * 2 + 2 + 1


def _summary(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_build_says_what_it_did_and_where(build, db):
    ended = build()
    assert ended.code == 0
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert lines[0].startswith(f"Attributed {PROMPTS} of {PROMPTS} prompts with ")
    assert "0 were there already." in lines[0]
    assert any("Held out 2 prompts" in line for line in lines)
    assert any(line.startswith("Skipped 0 prompts") for line in lines)
    assert any("language-independent neurons (LIKN)" in line for line in lines)
    assert str(db) in ended.out


@pytest.mark.slow
def test_the_summary_as_json(build, db):
    summary = _summary(build("--json"))
    assert summary["attributed"] == summary["prompts"] == PROMPTS
    assert summary["skipped"] == {}
    assert summary["held_out"] == 2
    assert summary["interrupted"] is False
    with atlas.open(db) as opened:
        assert [str(row["run"]) for row in opened.runs().to_pylist()] == [summary["run"]]
        likn = opened.sql("SELECT count(DISTINCT fact) AS facts FROM likn_all WHERE definition = 'default'")
        assert likn.to_pylist() == [{"facts": summary["facts_with_likn"]}]


@pytest.mark.slow
def test_the_summary_says_what_the_model_knows_and_shows_facts_with_their_neurons(build, db):
    out = build().out
    with atlas.open(db) as opened:
        known = opened.sql(
            "SELECT language, avg((rank = 1)::INT) AS share FROM probe JOIN prompt USING (prompt) "
            "WHERE status IN ('ok', 'not_converged') GROUP BY language ORDER BY language"
        ).to_pylist()
        shared = opened.likn(specificity=False).to_pylist()
    assert ", ".join(f"{row['language']} {row['share']:.0%}" for row in known) in out
    neurons = {f"L{row['layer']}.{row['neuron']}" for row in shared}
    assert f"Found {len(neurons)} language-independent neuron" in out
    assert {word for word in out.split() if word.startswith("L") and "." in word and word[1].isdigit()} == neurons


@pytest.mark.slow
def test_nothing_is_called_likn_where_facts_have_one_language(build):
    ended = build("--languages", "en")
    assert ended.code == 0
    assert "LIKN" not in ended.out
    assert "No fact has usable prompts in two languages" in ended.out
    summary = _summary(build("--languages", "en", "--json"))
    assert (summary["facts_in_several_languages"], summary["likn"]) == (0, 0)


@pytest.mark.slow
def test_a_build_without_a_usable_prompt_failed(build, causal, data):
    templates = [
        line for line in (data / "templates.csv").read_text("utf-8").splitlines() if not line.endswith("[Y],0")
    ]
    (data / "templates.csv").write_text(
        "\n".join(line for line in templates if "[Y] is the" in line or "relation," in line)
    )
    ended = build("--relations", "P36", "--languages", "en", model=causal)
    assert ended.code == 1
    assert "has scores: 2 times the template does not end in the object" in ended.err


class Clock:
    """Half a minute passes when a test says so, and has been told of when `pass_` returns."""

    def __init__(self):
        self.asked, self.answers = Queue(), Queue()

    def wait(self, seconds):
        self.asked.put(seconds)
        return self.answers.get(timeout=60)

    def pass_(self):
        assert self.asked.get(timeout=60) == LOG_SECONDS == 30
        self.answers.put(False)
        self.asked.put(self.asked.get(timeout=60))

    def set(self):
        self.answers.put(True)


@pytest.mark.slow
def test_a_build_that_nobody_watches_says_how_far_it_is_in_the_midst_of_a_batch(small_batches, build, monkeypatch):
    clocks = []
    monkeypatch.setattr("atlas.cli.output.progress.Event", lambda: clocks.append(Clock()) or clocks[-1])
    score = attribution.attribute

    def slowly(*given, **more):
        clocks[-1].pass_()
        return score(*given, **more)

    monkeypatch.setattr(attribution, "attribute", slowly)
    lines = build().err.splitlines()
    told = [int(line.split(f" of {PROMPTS} prompts, ")[0]) for line in lines]
    assert told == sorted(told)
    assert told[0] == 0
    assert len(told) == 7
    assert all("/s" in line for line in lines)
    assert clocks[-1].answers.empty()  # its end was heard


@pytest.mark.slow
def test_the_same_build_again_computes_nothing(build, db):
    build()
    before = content(db)
    summary = _summary(build("--json"))
    assert (summary["already_done"], summary["attributed"]) == (PROMPTS, 0)
    assert content(db) == before


@pytest.mark.slow
def test_a_larger_selection_adds_to_the_run_and_ends_with_the_same_rows(small_batches, build, db, tmp_path):
    first = _summary(build("--relations", "P36", "--languages", "en", "--limit", "1", "--json"))
    second = _summary(build("--json"))
    assert first["run"] == second["run"]
    assert second["already_done"] == first["attributed"] == 2
    _summary(build("--json", db=tmp_path / "whole.duckdb"))
    assert content(db) == content(tmp_path / "whole.duckdb")


@pytest.mark.slow
def test_other_settings_are_another_run(build, db):
    runs = {_summary(build("--json", *words))["run"] for words in ((), ("--method", "kn"), ("--floor", "0.1"))}
    assert len(runs) == 3


@pytest.mark.slow
def test_a_causal_model_skips_templates_that_do_not_end_in_the_object(build, causal):
    ended = build(model=causal)
    assert ended.code == 0
    assert "Skipped 2 prompts:" in ended.out
    assert "  2: the template does not end in the object, which a causal model needs" in ended.out


@pytest.mark.slow
def test_ctrl_c_in_the_last_batch_begins_nothing_after_it(build, tmp_path, monkeypatch):
    monkeypatch.setattr(TerminalProgress, "advance", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    ended = build("--languages", "zh", "--limit", "1", "--twin", "--knockout", "--report", tmp_path / "site")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-2:] == [
        "error: interrupted",
        "note: what was stored is not lost; the same command goes on",
    ]
    assert not (tmp_path / "site").exists()


@pytest.mark.slow
def test_ctrl_c_stops_in_order_and_the_same_command_goes_on(small_batches, build, db, tmp_path, monkeypatch):
    advance = TerminalProgress.advance

    def interrupt_once(self, prompts):
        advance(self, prompts)
        monkeypatch.setattr(TerminalProgress, "advance", advance)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TerminalProgress, "advance", interrupt_once)
    ended = build("--json")
    assert ended.code == 1
    assert "stopping after this batch" in ended.err
    assert "note: the same command goes on where this one stopped" in ended.err
    assert json.loads(ended.out)["left"] == PROMPTS - 2
    with atlas.open(db) as opened:
        assert [row["status"] for row in opened.runs().to_pylist()] == ["interrupted"]
    assert _summary(build("--json"))["already_done"] == 2
    _summary(build("--json", db=tmp_path / "whole.duckdb"))
    assert content(db) == content(tmp_path / "whole.duckdb")


def test_a_build_that_was_stopped_does_not_say_that_nothing_could_be_shared(capsys):
    stopped = Summary(Path("a.duckdb"), 1, "made", "amig", 2, 0, 0, Counter(), (), 0.1)
    show(replace(stopped, total=0, shard=Shard(1, 2)), json=False)
    show(stopped, json=False)
    assert "Attributed 0 of 2 prompts" in (said := capsys.readouterr().out)
    assert "No fact has usable prompts" not in said


@pytest.mark.slow
def test_an_error_in_the_middle_keeps_what_was_computed(small_batches, build, db, monkeypatch):
    import atlas.attribution as attribution

    attribute, calls = attribution.attribute, []

    def fail_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the device is gone")
        return attribute(*arguments)

    monkeypatch.setattr(attribution, "attribute", fail_at_the_third)
    ended = build()
    assert ended.code == 1
    assert "error: unexpected RuntimeError: the device is gone" in ended.err
    assert "note: while computing " in ended.err
    with atlas.open(db) as opened:
        assert [row["status"] for row in opened.runs().to_pylist()] == ["failed"]
        assert opened.sql("SELECT count(*) > 0 AS kept FROM probe").to_pylist() == [{"kept": True}]


@pytest.mark.slow
def test_nan_in_the_models_output_is_reported(build, masked, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model = AutoModelForMaskedLM.from_pretrained(masked)
    model.get_output_embeddings().bias.data.fill_(float("nan"))
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(masked).save_pretrained(tmp_path / "broken")
    ended = build("--json", model=tmp_path / "broken")
    assert json.loads(ended.out)["skipped"] == {"nan": PROMPTS}
    assert f"warning: the model's output holds NaN for {PROMPTS} prompts" in ended.err


@pytest.mark.slow
def test_answers_that_cannot_be_spelled_are_counted(build, data):
    with (data / "facts.csv").open("a", encoding="utf-8") as file:
        file.write("P36,ar,فرنسا,ﷺ,france,paris\n")
    with (data / "templates.csv").open("a", encoding="utf-8") as file:
        file.write("P36,ar,عاصمة [X] هي [Y] .,0\n")
    ended = build()
    assert "Skipped 1 prompt:" in ended.out
    assert "  1: the tokenizer cannot spell the answer" in ended.out


@pytest.mark.slow
def test_bad_lines_end_the_build_unless_they_are_to_be_skipped(build, data, db):
    with (data / "facts.csv").open("a", encoding="utf-8") as file:
        file.write("P36,en,Spain,Madrid,spain,madrid,and,more\n")
    ended = build()
    assert ended.code == 1
    assert "facts.csv:9" in ended.err
    assert not db.exists()
    ended = build("--skip-bad")
    assert ended.code == 0
    assert "Left out 1 thing while reading the facts:" in ended.out


@pytest.mark.slow
def test_progress_is_quiet_without_a_terminal(build):
    assert build().err == ""


@pytest.mark.slow
def test_a_report_comes_with_the_build(build, tmp_path):
    ended = build("--report", tmp_path / "site")
    assert ended.code == 0
    assert f"The report is {tmp_path / 'site' / 'index.html'}" in ended.out
    assert "tiny-bert" in (tmp_path / "site" / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--model", "no-such-model"), 1, "no-such-model"),
        (("--languages", "en,xx"), 2, "xx"),
        (("--relations", "P9999"), 2, "P9999"),
        (("--languages", ","), 2, "languages"),
        (("--dataset", "no/such/folder"), 2, "no/such/folder"),
        (("--method", "magic"), 2, "--method cannot be 'magic'"),
        (("--floor", "0.3"), 2, "--floor cannot be 0.3: choose a number of at most 0.2"),
        (("--device", "abacus"), 2, "abacus"),
        (("--dtype", "int3"), 2, "int3"),
        (("--limit", "-1"), 2, "--limit"),
        (("--report", str(Path(__file__).parent)), 2, "no report made"),
        (("--relations", "P36", "--languages", "zh", "--model", "demo-mgpt", "--method", ""), 2, "--method"),
    ],
)
def test_wrong_options_are_one_sentence_and_leave_no_atlas(build, db, words, code, said):
    ended = build(*words)
    assert ended.code == code
    assert ended.out == ""
    error, *notes = ended.err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert all(line.startswith("note: ") for line in notes)
    assert not db.exists()


@pytest.mark.slow
def test_json_stays_json_with_a_report(build, tmp_path):
    ended = build("--json", "--report", tmp_path / "site")
    assert json.loads(ended.out)["attributed"] == PROMPTS
    taken, report = ended.err.splitlines()
    assert taken.startswith("note: taken: run ")
    assert report == f"The report is {tmp_path / 'site' / 'index.html'}"


@pytest.mark.data
@pytest.mark.slow
def test_real_facts_with_the_bundled_model(shell, real_data, db):
    """mParaRel as published: quirks in the files end no build, and all that is left out is counted."""
    ended = shell(
        "build", "--dataset", real_data / "mpararel", "--languages", "en,fr,zh-hans", "--relations", "P36,P30,P37",
        "--limit", 3, "--db", db, "--json",
    )  # fmt: skip
    summary = _summary(ended)
    assert summary["facts"] <= 3
    assert summary["attributed"] + sum(summary["skipped"].values()) == summary["prompts"] > 0
    assert all(skip["reason"] and skip["where"] for skip in summary["left_out"])


@pytest.mark.slow
def test_every_knowledge_neuron_gets_its_tokens(built, db, shell):
    query = """
        SELECT count(*) AS missing FROM knowledge_neuron_all
        WHERE definition = 'default' AND (layer, neuron) NOT IN (SELECT (layer, neuron) FROM neuron_token)
    """
    assert shell("sql", query, "--db", db, "--format", "csv").out.split() == ["missing", "0"]
    assert int(shell("sql", "SELECT count(*) FROM neuron_token", "--db", db, "--format", "csv").out.split()[1]) > 0


@pytest.mark.slow
def test_every_stored_neuron_is_read_in_all_prompts_of_its_language(build, db):
    build("--relations", "P36", "--languages", "en,fr")
    build()
    with atlas.open(db) as opened:
        stored = opened.sql(
            "SELECT DISTINCT language, layer, neuron FROM attribution JOIN prompt USING (prompt) ORDER BY ALL"
        )
        read = opened.sql("FROM neuron_activation ORDER BY language, layer, neuron")
    assert read.select(stored.column_names).equals(stored)
    assert {(row["language"], row["prompts"]) for row in read.to_pylist()} == {("en", 5), ("fr", 4), ("zh", 2)}
    for row in read.to_pylist():
        assert row["q05"] <= row["q25"] <= row["q50"] <= row["q75"] <= row["q95"]
        assert row["position"] == "query"


@pytest.mark.slow
def test_a_build_again_puts_right_what_the_run_holds_and_a_run_can_be_forgotten(build, shell, db):
    run = _summary(build("--json"))["run"]
    with atlas.open(db, "a") as writer:
        before = digest(writer)
        writer.sql("UPDATE probe SET status = 'unspellable', probability = NULL, max_score = NULL")
        writer.sql("""UPDATE run SET versions = replace(versions, '"device": "cpu"', '"device": "cuda"')""")
    nothing = build("--json")
    assert (nothing.code, json.loads(nothing.out)["attributed"]) == (1, 0)
    assert _summary(build("--again", "--json"))["attributed"] == PROMPTS
    with atlas.open(db) as opened:
        assert digest(opened) == before
    ended = shell("runs", "forget", run, "--db", db)
    assert ended.code == 0
    assert ended.out.startswith(f"Forgot run {run}: 1 of run, ")
    assert shell("runs", "forget", run, "--db", db).code == 2
    assert _summary(build("--json"))["attributed"] == PROMPTS
    assert {"table": "probe", "rows": PROMPTS} in json.loads(shell("runs", "forget", run, "--db", db, "--json").out)
    assert shell("runs", "drop", run, "--db", db).code == 2
    with atlas.open(db) as opened:
        assert len(opened.runs()) == 0
