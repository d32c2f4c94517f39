"""Whatever JSON, or what is none, every reader of it is given: a value, or one of the atlas' own errors."""

import contextlib
import dataclasses
import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from atlas import facts, outputs
from atlas.editing.exchange import requests_from_json
from atlas.editing.files import FORMAT, load_edit
from atlas.editing.rows import saved
from atlas.editing.sources import read_neurons
from atlas.errors import AtlasError
from atlas.models import checkpoint, load_model
from atlas.reports import folder as reports
from atlas.store.runs import StoredRun, stored_settings
from atlas.store.transfer import manifest
from atlas.study import ledger

NAMES = """
made_by format atlas versions files path table rows bytes sha256 model digest digest_after fact relation subject
old_object object labels languages method source run settings weight_map prompt target_new ground_truth
requested_rewrite for edits status str paraphrase_prompts uuid obj_label sub_label template pattern asked done
"""
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["..", "/", "fact", "{}"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6)
    ),
    max_leaves=12,
)
texts = st.one_of(
    values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"[[1e999, 0]]", b"\xef\xbb\xbf[]"]),
)


def _edit(path, text):
    if not text.startswith(b"[" * 99):
        with contextlib.suppress(UnicodeDecodeError):
            entry = json.dumps({"format": FORMAT})[:-1] + ", " + text.decode().removeprefix("{")
            tensors = {"0.neurons": torch.tensor([1]), "0.before": torch.ones(1, 2), "0.delta": torch.ones(1, 2)}
            save_file(tensors, path, metadata={"edit": entry})
    load_edit(path)


def _inside(name, read):
    def act(path, text):
        path.parent.joinpath(name).write_bytes(text)
        read(path.parent)

    return act


def _file(read):
    def act(path, text):
        path.write_bytes(text)
        read(path)

    return act


def _settings(path, text):
    run = dict.fromkeys((field.name for field in dataclasses.fields(StoredRun)), None)
    stored_settings(StoredRun(**{**run, "settings": text.decode(errors="replace")}))


READERS = {
    "manifest": _inside(manifest.NAME, manifest.read),
    "report": _inside(reports.MARK, reports.files_of),
    "folder": _inside(outputs.MARK, lambda folder: outputs.check_folder(folder, "--out")),
    "index": _inside("model.safetensors.index.json", lambda folder: checkpoint._files("x", folder)),
    "neurons": _file(read_neurons),
    "edits": _file(lambda path: requests_from_json(path, path.parent / "out")),
    "facts": _file(facts.read),
    "lines": lambda path, text: _file(facts.read)(path.with_suffix(".jsonl"), text),
    "edit": _edit,
    "saved": _inside(outputs.NOTE, saved),
    "settings": _settings,
    "study": _inside(ledger.NAME, lambda folder: ledger.Ledger.of(folder, {"limit": 1})),
    "configuration": _inside("config.json", lambda folder: load_model(str(folder))),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_json_reads_it_or_says_why_not(reader, tmp_path_factory):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(text=texts)
    def read(text):
        path = tmp_path_factory.mktemp("json") / "x.json"
        with contextlib.suppress(AtlasError):
            READERS[reader](path, text)

    read()
