"""`MODEL:encoder` in every command that takes a model, on a tiny mT5 of random weights."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_families import make_tiny

import atlas


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The folder of a tiny random mT5."""
    model = make_tiny("mt5", torch.float32)
    folder = tmp_path_factory.mktemp("models") / "tiny-mt5"
    for part in (model.model, model.tokenizer):
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def model(folder):
    return f"{folder}:encoder"


@pytest.mark.slow
def test_the_encoder_is_a_model_beside_its_decoder(build, shell, db, folder, model):
    for name in (folder, model):
        ended = build(model=name)
        assert ended.code == 0, ended.err
    rows = json.loads(shell("sql", "SELECT name, kind, layers, digest FROM model", "--db", db, "--json").out)
    assert {row["name"]: (row["kind"], row["layers"]) for row in rows} == {
        str(folder): ("infilling", 3),
        model: ("reading", 2),
    }
    assert len({row["digest"] for row in rows}) == 2
    deepest = shell(
        "sql", "SELECT max(layer) AS layer FROM attribution JOIN run USING (run) JOIN model USING (model) "
        "WHERE kind = 'reading'", "--db", db, "--json",
    )  # fmt: skip
    assert json.loads(deepest.out) == [{"layer": 1}]
    compared = shell("compare", folder, model, "--db", db, "--json")
    assert compared.code == 0, compared.err


@pytest.mark.slow
def test_knockouts_evaluation_and_claims_ask_the_encoder(build, shell, db, model, tmp_path):
    assert build(model=model).code == 0
    assert shell("knockout", "--model", model, "--db", db).code == 0
    assert shell("evaluate", "--model", model, "--method", "amig", "--languages", "en,fr", "--db", db).code == 0
    (tmp_path / "claims.csv").write_text("subject,relation,object,language\nFrance,P36,Paris,en\n", "utf-8")
    claims = ("--claims", tmp_path / "claims.csv", "--evidence", "kn")
    checked = shell("check", *claims, "--model", model, "--db", db, "--json")
    assert checked.code == 0, checked.err
    assert json.loads(checked.out)[0]["probability"] > 0
    with atlas.open(db) as opened:
        assert opened.sql("SELECT count(*) AS n FROM knockout")["n"][0].as_py() > 0


@pytest.mark.slow
def test_an_edit_of_the_encoder_is_applied_and_undone_there(build, shell, db, folder, model, tmp_path):
    neurons = tmp_path / "neurons.json"
    neurons.write_text(json.dumps([[layer, neuron] for layer in range(2) for neuron in range(24)]), "utf-8")
    assert build(model=model).code == 0
    words = ("--fact", "France", "--object", "Berlin", "--languages", "en", "--neurons", neurons, "--method", "kn")
    done = shell("edit", *words, "--force", "--db", db, "--save", tmp_path / "edited")
    assert done.code == 0, done.out + done.err
    before, edited = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "edited"))
    changed = {name for name in before if not torch.equal(before[name], edited[name])}
    assert changed == {f"encoder.block.{layer}.layer.1.DenseReluDense.wo.weight" for layer in range(2)}
    (file,) = db.with_name("atlas.edits").iterdir()
    copied = shell("edit", "apply", file, "--model", folder, "--save", tmp_path / "copy", "--db", db)
    assert copied.code == 0, copied.err
    copy = load_file(tmp_path / "copy" / "model.safetensors")
    assert all(torch.equal(value, edited[name]) for name, value in copy.items())
    assert shell("edit", "undo", file, "--model", f"{tmp_path / 'edited'}:encoder", "--db", db).code == 0
    undone = load_file(tmp_path / "edited" / "model.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in undone.items())


@pytest.mark.slow
def test_doctor_checks_the_encoder(shell, model):
    ended = shell("doctor", "--model", model, "--dtype", "float64", "--json")
    assert ended.code == 0, ended.out
    found = {row["subject"]: row for row in json.loads(ended.out)}
    assert found["model"]["detail"] == "mt5:encoder, reading, 2 layers of 24 neurons"
    assert {row["status"] for row in found.values()} == {"ok"}


def test_a_model_of_one_stack_is_refused_in_one_line(build, masked):
    ended = build(model=f"{masked}:encoder")
    assert ended.code == 1
    assert "Model type 'bert' has no encoder beside a decoder; leave ':encoder' out of the name." in ended.err
