"""The file of an edit: what it did to which columns, enough to do it again and to undo it to the bit.

A safetensors file with, for every changed layer l, `l.neurons` [neuron], `l.before` `[neuron, hidden]` (the columns as
they were, exactly) and `l.delta` (what was added), and one metadata entry, `edit`, a JSON object.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from atlas import outputs
from atlas.editing.columns import Columns
from atlas.errors import DataError, StoreError
from atlas.ids import Neuron, stable_id

FORMAT = "neuron-atlas-edit-1"


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What an edit is: `digest` and `digest_after` are those of the model's weights before and after it.

    `object` and `old_object` are keys, `labels` the new object's name by language; `source` says where the neurons
    come from, `run` which run found them. `traits` are digests of the model's tokenizer and configuration, see
    `atlas.attribution.traits`, and `neurons` is a hash of the changed neurons; edits of before name neither.
    `digest_narrow` is that before the edit of weights that were narrowed as they were loaded.
    """

    model: str
    digest: str
    digest_after: str
    fact: int
    relation: str
    subject: str
    old_object: str
    object: str
    labels: Mapping[str, str]
    languages: tuple[str, ...]
    method: str
    source: str
    run: int | None
    settings: Mapping[str, Any]
    traits: Mapping[str, str] = field(default_factory=dict)
    neurons: int | None = None
    digest_narrow: str = ""

    @property
    def unedited(self) -> tuple[str, ...]:
        """The digests of the weights that the edit was made on: as they are stored, and as they were loaded."""
        return (self.digest, self.digest_narrow or self.digest)

    @property
    def id(self) -> int:
        """Content hash of model, fact, new object, languages, method, source, settings and, where named, the others."""
        parts = (self.digest, self.fact, self.object, list(self.languages), self.method, self.source)
        more = [named for named in (dict(self.traits), self.neurons) if named]
        return stable_id("edit", *parts, dict(self.labels), dict(self.settings), *more)


@dataclass(frozen=True, slots=True)
class Edit:
    """A record with the columns that it changes: indices [neuron], and columns and changes `[neuron, hidden]`."""

    record: EditRecord
    index: dict[int, Tensor]
    before: Columns
    delta: Columns

    @property
    def neurons(self) -> list[Neuron]:
        """The changed neurons `(layer, neuron)`."""
        return [(layer, int(neuron)) for layer, own in self.index.items() for neuron in own]

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the weights that it changes."""
        return next(iter(self.before.values())).dtype

    def save(self, path: Path) -> str:
        """Write the edit to `path` and return the digest of the file."""
        tensors = {
            f"{layer}.{name}": tensor.cpu().contiguous()
            for name, part in (("neurons", self.index), ("before", self.before), ("delta", self.delta))
            for layer, tensor in part.items()
        }
        # One entry alone: safetensors writes several in random order, and the same edit should be the same file.
        text = json.dumps({"format": FORMAT, **asdict(self.record)}, ensure_ascii=False, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with outputs.whole_file(path, "--db", ours=True) as part:
                save_file(tensors, part, metadata={"edit": text})
        except (OSError, SafetensorError) as error:
            raise StoreError(
                f"The edit cannot be written to {path}: {error}; make room, or choose another --db."
            ) from error
        return file_digest(path)


def file_digest(path: Path) -> str:
    """Return a hash of the file's bytes, in hexadecimal."""
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def edited_digests(folder: Path) -> dict[str, int]:
    """Return the edit, of those whose files lie in `folder`, that left weights of a digest behind; of damaged, none."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with suppress(OSError, SafetensorError, KeyError, ValueError), safe_open(path, framework="pt") as file:
            record = _record((file.metadata() or {})["edit"])
            found[record.digest_after] = record.id
    return found


def load_edit(path: Path) -> Edit:
    """Read an edit; DataError for a file that is missing or is no edit."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read as an edit ({error}); name a file that `atlas edit` wrote.") from error
    if FORMAT not in metadata.get("edit", ""):
        raise DataError(f"{path} is not an edit of format {FORMAT}; name a file that `atlas edit` wrote.")
    try:
        return _checked(Edit(_record(metadata["edit"]), *(_part(tensors, n) for n in ("neurons", "before", "delta"))))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is a damaged edit ({error}); make the edit again.") from error


def _record(text: str) -> EditRecord:
    return TypeAdapter(EditRecord).validate_python(json.loads(text))


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[int, Tensor]:
    found = {int(key.partition(".")[0]): tensor for key, tensor in tensors.items() if key.endswith(f".{name}")}
    return dict(sorted(found.items()))


def _checked(edit: Edit) -> Edit:
    """Raise ValueError unless every layer has indices, columns and changes of one shape."""
    if not edit.index or not edit.index.keys() == edit.before.keys() == edit.delta.keys():
        raise ValueError("its layers do not match")
    for layer in edit.index:
        _check_layer(layer, edit.index[layer], edit.before[layer], edit.delta[layer])
    return edit


def _check_layer(layer: int, own: Tensor, before: Tensor, delta: Tensor) -> None:
    shape = before.shape
    if own.dtype != torch.int64 or own.dim() != 1 or len(shape) != 2 or delta.shape != shape:
        raise ValueError(f"layer {layer} has columns of the wrong shape")
    if not (before.isfinite().all() and delta.isfinite().all()):
        raise ValueError(f"layer {layer} has columns that are no numbers")
    if not (before.is_floating_point() and delta.is_floating_point()):  # of two types where one is wider
        raise ValueError(f"layer {layer} has columns that are no fractions")
    if (len(own) and int(own.min()) < 0) or layer < 0:
        raise ValueError(f"layer {layer} has a neuron below 0")
    if shape[0] != len(own):
        raise ValueError(f"layer {layer} has {shape[0]} columns for {len(own)} neurons")
