"""Memory that is gone while an atlas is made, filled or read, and while a model is saved: one sentence, and no loss."""

import os
import subprocess
import sys

import pytest

import atlas
from atlas.store.digest import digest

# Runs a command once for what it imports, then in forks that have imported it and may take so many megabytes more each.
DRIVER = """
import os, resource, sys
from contextlib import suppress
from importlib import import_module
limits, folder, *words = sys.argv[1:]

def forked(limit):
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.dup2(os.open(f"{folder}/{limit}", os.O_WRONLY | os.O_CREAT), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if limit:
            size = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (size + (limit << 20), resource.RLIM_INFINITY))
        code = import_module("atlas.cli.main").main([word.format(limit=limit) for word in words])
        os.write(write, " ".join(name for name in sys.modules if limit == 0 and name != "__main__").encode()[:60000])
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(write)
    return code, os.fdopen(read).read().split()

for name in forked(0)[1][:-1]:
    with suppress(ImportError):
        import_module(name)
for limit in map(int, limits.split(",")):
    print(forked(limit)[0], flush=True)
os._exit(0)
"""
LIMITS = (1, 60)


def _run(tmp_path, limits, *words):
    """Return the exit code and what was said under each limit."""
    said = tmp_path / "said"
    said.mkdir()
    command = [sys.executable, "-c", DRIVER, ",".join(map(str, limits)), said, *words]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    texts = [(said / str(limit)).read_text() for limit in limits]
    return list(zip(map(int, ended.stdout.split()), texts, strict=True))


def _check(outcomes):
    """What is told is one sentence; a library may end the process itself, as Arrow does that gets no memory at all."""
    for text in (text for code, text in outcomes if code == 1):
        assert text.count("error: ") == 1, text
        assert "memory" in text
        assert "unexpected" not in text
    assert 2 not in [code for code, _ in outcomes]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("import", "{data}", "--db", "{tmp}/new{{limit}}.duckdb"),
        pytest.param(("merge", "{db}", "--into", "{tmp}/new{{limit}}.duckdb"), marks=pytest.mark.slow),
        pytest.param(("export", "--db", "{db}", "--out", "{tmp}/out{{limit}}"), marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_memory_that_is_gone_is_told_and_nothing_is_half_done(built, data, db, tmp_path, words):
    before, there = db.read_bytes(), set(os.listdir(tmp_path))
    outcomes = _run(tmp_path, LIMITS, *(word.format(data=data, db=db, tmp=tmp_path) for word in words))
    _check(outcomes)
    assert db.read_bytes() == before
    for name in set(os.listdir(tmp_path)) - there - {"said"}:
        if name.startswith("new") and name.endswith(".duckdb"):
            with atlas.open(tmp_path / name) as opened:
                assert digest(opened)
    if words[0] == "export":
        wanted = {0, *(limit for limit, (code, _) in zip(LIMITS, outcomes, strict=True) if code == 0)}
        assert {path.name for path in tmp_path.glob("out*")} == {f"out{limit}" for limit in wanted}


@pytest.mark.slow
def test_memory_that_is_gone_while_a_model_is_saved(built, shell, masked, db, tmp_path):
    with atlas.open(db) as opened:
        fact = opened.sql("SELECT fact FROM fact WHERE subject = 'france'")["fact"][0]
    neurons = tmp_path / "neurons.json"
    neurons.write_text("[[0, 1], [1, 2]]")
    words = ("edit", "--fact", fact, "--object", "Berlin", "--neurons", neurons, "--method", "kn", "--force")
    outcomes = _run(tmp_path, (1, 40, 90, 140, 200), *words, "--db", db, "--save", tmp_path / "edited{limit}")
    _check(outcomes)
    for (code, _), limit in zip(outcomes, (1, 40, 90, 140, 200), strict=True):
        assert (code == 0) == (tmp_path / f"edited{limit}").exists()
    assert shell(*words, "--db", db, "--save", tmp_path / "edited").code == 0


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("could not create a primitive")], ids=str)
def test_memory_that_is_gone_is_one_sentence(shell, built, db, monkeypatch, problem):
    def gone(*_):
        raise problem

    monkeypatch.setattr("atlas.store.reader.Reader.sql", gone)
    ended = shell("edit", "list", "--db", db)
    assert ended.code == 1
    assert ended.err.count("error: ") == 1
    assert "memory" in ended.err


@pytest.mark.parametrize("place", ["AutoTokenizer.from_pretrained", "AutoConfig.from_pretrained"])
def test_memory_that_is_gone_while_a_model_is_read_is_no_fault_of_the_model(shell, built, db, monkeypatch, place):
    def gone(*_, **__):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(f"atlas.models.loading.{place}", gone)
    ended = shell("knockout", "--db", db)
    assert ended.code == 1
    assert ended.err.count("error: ") == 1
    assert "not enough memory" in ended.err
    assert "unexpected" not in ended.err


def test_a_text_that_no_memory_is_left_to_spell_is_no_unusable_prompt(build, db, monkeypatch):
    def gone(*_, **__):
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.__call__", gone)
    ended = build()
    assert ended.code == 1
    assert "not enough memory" in ended.err
    if db.exists():
        with atlas.open(db) as opened:
            assert opened.sql("SELECT count(*) AS n FROM probe")["n"][0] == 0
