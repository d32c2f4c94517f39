"""What tests of edits by command share."""

from safetensors.torch import load_file

import atlas

FRANCE = ("--fact", "France", "--object", "Berlin", "--languages", "en,fr")


def weights(folder):
    return load_file(folder / "model.safetensors")


def status(db):
    with atlas.open(db) as opened:
        return opened.sql("SELECT status FROM edit").to_pylist()[0]["status"]
