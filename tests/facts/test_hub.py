"""Data sets of a hub: a small one that this file serves itself, and what is said where there is none."""

import io
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import pyarrow as pa
import pytest
from huggingface_hub import constants
from pyarrow import parquet

import atlas
from atlas.errors import DataError, UsageError
from atlas.facts import read

COMMIT = "a" * 40
ROW = {
    "language": "en", "relation": "P36", "template": "The capital of [X] is", "sub_uri": "Q142", "obj_uri": "Q90",
    "sub_label": "France", "obj_label": "Paris",
}  # fmt: skip
FILES = {
    "data/train.jsonl": json.dumps(ROW).encode() + b"\n",
    "load.py": b"raise SystemExit\n",
    "README.md": b"# Facts\n",
}


class Hub(BaseHTTPRequestHandler):
    """What `snapshot_download` asks for: the commit of a revision, its files, each file."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        if path.startswith("/api/datasets/some/facts/revision/"):
            siblings = [{"rfilename": name} for name in FILES]
            return self._send(json.dumps({"id": "some/facts", "sha": COMMIT, "siblings": siblings}).encode())
        if path.startswith("/api/datasets/some/facts/tree/"):
            rows = [{"type": "file", "path": name, "size": len(text), "oid": "1"} for name, text in FILES.items()]
            return self._send(json.dumps(rows).encode())
        name = path.partition(f"/datasets/some/facts/resolve/{COMMIT}/")[2]
        return self._send(FILES[name]) if name in FILES else self.send_error(404)

    def _send(self, content):
        self.send_response(200)
        for name, value in {
            "Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, "ETag": f'"{hash(content) % 10**9}"',
            "Content-Type": "application/json",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = HTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", here)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    Hub.asked.clear()
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_snapshot_is_read_and_its_commit_recorded(hub, tmp_path, told):
    found = read("hf:some/facts@v1")
    assert told(found)[0] == {("P36", "Q142", "Q90"): {"en": ("France", "Paris")}}
    assert (found.dataset, found.revision) == ("hf:some/facts@v1", COMMIT)
    assert any("/revision/v1" in path for path in hub.asked)
    assert not [path for path in hub.asked if path.split("?")[0].endswith((".py", ".md"))]
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.add_facts(found)
        (row,) = writer.sql("SELECT name, source, revision FROM dataset").to_pylist()
    assert row == {"name": "hf:some/facts@v1", "source": "mpararel_autorr", "revision": COMMIT}


@pytest.mark.slow
def test_a_snapshot_of_parquet_is_read(hub, monkeypatch, told):
    rows = [ROW, {**ROW, "language": "fr", "template": "La capitale de [X] est"}]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), file)
    monkeypatch.delitem(FILES, "data/train.jsonl")
    monkeypatch.setitem(FILES, "data/train-00000-of-00001.parquet", file.getvalue())
    facts, templates = told(read("hf:some/facts"))
    assert facts == {("P36", "Q142", "Q90"): {"en": ("France", "Paris"), "fr": ("France", "Paris")}}
    assert {language for _, language, _ in templates} == {"en", "fr"}


def test_a_folder_of_it_is_read_and_a_missing_one_named(hub):
    assert len(read("hf:some/facts/data").facts) == 1
    with pytest.raises(UsageError, match=r"hf:some/facts has no data in 'other' at a{40}; name another folder"):
        read("hf:some/facts/other")


def test_what_was_fetched_is_read_offline_and_what_was_not_is_told_in_a_sentence(hub, monkeypatch):
    read("hf:some/facts")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(read("hf:some/facts").facts) == 1
    with pytest.raises(
        DataError, match=r"Data set hf:no/facts at v2 cannot be fetched \(.* \.\.\.\); check its name and the network"
    ):
        read("hf:no/facts@v2")


@pytest.mark.parametrize("name", ["hf:", "hf:facts", "hf:some/facts@", "hf:some/facts/../..", "hf:a b/c"])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(UsageError, match="is no data set of the hub; write hf:OWNER/NAME"):
        read(name)
