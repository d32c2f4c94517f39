"""The command line as a user meets it, with tiny models and facts made here."""

import json
import shutil
import warnings
from dataclasses import dataclass

import pytest
from tiny import make_bert, make_bert_tokenizer, make_gpt2, make_gpt2_tokenizer

from atlas.building import plan
from atlas.cli.main import main

FACTS = """relation,language,subject,object,subject_key,object_key
P36,en,France,Paris,france,paris
P36,fr,France,Paris,france,paris
P36,zh,法国,巴黎,france,paris
P36,en,Germany,Berlin,germany,berlin
P36,fr,Germany,Berlin,germany,berlin
P36,zh,日本,东京,japan,tokyo
P38,en,Japan,yen,japan,yen
"""
TEMPLATES = """relation,language,template,held_out
P36,en,the capital of [X] is [Y] .,0
P36,en,[Y] is the capital of [X] .,0
P36,en,[X] has [Y] as its capital city .,1
P36,fr,La capitale de la [X] est [Y] .,0
P36,fr,la capitale : [X] [Y],0
P36,zh,[X]的首都是[Y]。,0
P38,en,the currency of [X] is the [Y] .,0
"""
PROMPTS = 2 * 2 + 2 * 2 + 2 + 1  # P36: two facts in English and in French, two in Chinese; P38: one


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def shell(capfdbinary, monkeypatch):
    """Runs the command line in this process."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def run(*words):
        capfdbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Ended(int(code), out.decode(), err.decode())

    return run


@pytest.fixture
def small_batches(monkeypatch):
    """One fact in one language to a batch, however small the model."""
    monkeypatch.setattr(plan, "MOST_PROMPTS", 1)


def _written(folder):
    folder.mkdir()
    (folder / "facts.csv").write_text(FACTS, "utf-8")
    (folder / "templates.csv").write_text(TEMPLATES, "utf-8")
    return folder


@pytest.fixture
def data(tmp_path):
    return _written(tmp_path / "facts")


def _saved(folder, make, tokenizer):
    make(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def masked(tmp_path_factory):
    """The folder of a tiny random BERT."""
    return _saved(tmp_path_factory.mktemp("models") / "tiny-bert", make_bert, make_bert_tokenizer())


@pytest.fixture(scope="session")
def causal(tmp_path_factory):
    """The folder of a tiny random GPT-2."""
    return _saved(tmp_path_factory.mktemp("models") / "tiny-gpt2", make_gpt2, make_gpt2_tokenizer())


@pytest.fixture
def build(shell, masked, data, tmp_path, monkeypatch):
    """Runs `atlas build` on the tiny BERT and the facts made here, without network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def run(*words, db=tmp_path / "atlas.duckdb", model=masked):
        return shell("build", "--model", model, "--dataset", data, "--db", db, *words)

    return run


@pytest.fixture(scope="session")
def one_built(masked, tmp_path_factory):
    """An atlas of the tiny BERT and the facts made here, built once."""
    folder = tmp_path_factory.mktemp("built")
    words = ("build", "--model", masked, "--dataset", _written(folder / "facts"), "--db", folder / "atlas.duckdb")
    assert main([str(word) for word in words]) == 0
    return folder / "atlas.duckdb"


@pytest.fixture(scope="session")
def one_imported(tmp_path_factory):
    """An atlas of the facts made here without a run, imported once."""
    folder = tmp_path_factory.mktemp("imported")
    words = ("import", _written(folder / "facts"), "--db", folder / "atlas.duckdb")
    assert main([str(word) for word in words]) == 0
    return folder / "atlas.duckdb"


@pytest.fixture
def built(one_built, db):
    """A copy of that atlas at `db`."""
    shutil.copy(one_built, db)


@pytest.fixture
def facts_only(one_imported, db):
    """A copy of the atlas without a run."""
    return shutil.copy(one_imported, db)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "atlas.duckdb"


@pytest.fixture
def wide(tmp_path):
    """A file of all neurons of the tiny model."""
    path = tmp_path / "neurons.json"
    path.write_text(json.dumps([[layer, neuron] for layer in range(3) for neuron in range(40)]), "utf-8")
    return path


@pytest.fixture
def edit(shell, built, db, wide):
    """Runs `atlas edit` on the atlas of the tiny model, with all of its neurons."""

    def run(*words, neurons=wide, force=True):
        steps = () if "kn" in words else ("--steps", "300")
        always = ("--db", db, "--neurons", neurons, *steps, *(["--force"] if force else []))
        return shell("edit", *always, *words)

    return run
