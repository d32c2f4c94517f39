"""`atlas models` and `atlas doctor --model`."""

import json
from dataclasses import replace
from math import nan

import pytest
import torch
from tiny_families import make_tiny

from atlas.doctor.outcome import Outcome
from atlas.models import FAMILIES, SHORT_NAMES, families


def test_models_lists_every_family_and_every_short_name(shell):
    ended = shell("models", "--json")
    assert ended.code == 0
    rows = json.loads(ended.out)
    assert {row["family"] for row in rows} == set(FAMILIES)
    assert {row["name"]: row["model"] for row in rows if row["kind"] != "reading"} == SHORT_NAMES
    encoders = {row["name"]: row["model"] for row in rows if row["kind"] == "reading"}
    assert encoders == {f"{name}:encoder": SHORT_NAMES[name] for name in ("t5", "mt5", "bart", "mbart")}
    assert {row["family"] for row in rows if row["gated"]} >= {"llama", "mt5"}


@pytest.mark.slow
def test_doctor_checks_a_model_and_says_what_it_found(shell, tmp_path):
    model = make_tiny("gpt2", torch.float32)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    ended = shell("doctor", "--model", tmp_path, "--dtype", "float64", "--json")
    assert ended.code == 0, ended.out
    found = {row["subject"]: row for row in json.loads(ended.out)}
    assert found["model"]["detail"] == "gpt2, causal, 3 layers of 24 neurons"
    assert "of 1.0e-10 allowed" in found["scores, amig"]["detail"]
    assert {row["status"] for row in found.values()} == {"ok"}


@pytest.mark.slow
def test_doctor_tells_a_row_that_names_the_wrong_layer(shell, tmp_path, monkeypatch):
    model = make_tiny("gpt2", torch.float32)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    monkeypatch.setitem(families.FAMILIES, "gpt2", replace(families.FAMILIES["gpt2"], down_projection="mlp.c_fc"))
    ended = shell("doctor", "--model", tmp_path, "--json")
    wrong = [row for row in json.loads(ended.out) if row["status"] == "wrong"]
    assert ended.code == 1
    assert "value vectors" in {row["subject"] for row in wrong}
    assert all(row["remedy"] for row in wrong)


@pytest.mark.parametrize(
    ("dtype", "error", "status"), [("bfloat16", 0.3, "warning"), ("bfloat16", nan, "wrong"), ("float32", 0.3, "wrong")]
)
def test_what_rounding_to_three_digits_can_do_is_a_warning(shell, monkeypatch, dtype, error, status):
    found = [Outcome("scores, kn", error, 0.1, "against hooks")]
    monkeypatch.setattr("atlas.doctor.suite.conformance", lambda *_, **__: iter(found))
    ended = shell("doctor", "--model", "demo-mgpt", "--dtype", dtype, "--json")
    assert ended.code == (status == "wrong")
    assert json.loads(ended.out)[-1]["status"] == status


def test_doctor_without_the_model_is_one_sentence(shell, tmp_path):
    ended = shell("doctor", "--model", tmp_path / "nowhere")
    assert ended.code == 1
    assert "Traceback" not in ended.err
