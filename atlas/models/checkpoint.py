"""What a model's files hold, compared with the model that was made of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from atlas.errors import ModelError

_ONE = "model.safetensors"
_INDEX = _ONE + ".index.json"
_FLOATS = ("F16", "BF16", "F32", "F64")
_BUFFERS = re.compile(
    r"(position_ids|token_type_ids|attn\.bias|attention\.bias|masked_bias|inv_freq|embed_positions\.weights)$"
)
"""What some checkpoints hold beside weights: tables that follow from the configuration."""
_OTHER_HEADS = re.compile(
    r"(pooler|seq_relationship|classifier|qa_outputs|score|summary|discriminator_predictions|mtp)\."
)
_NAMES = re.compile(r"\.version$")
_DEPTHS = re.compile(r"(?<!max_window_)layers?$")
_WIDTHS = re.compile(r"(vocab_size|hidden_size|embedding_size|intermediate_size|d_model|d_ff|n_embd|n_inner|ffn_dim)$")
_POSITIONS = re.compile(r"positions?(_embeddings)?$")
_MOST_POSITIONS = 1 << 24
"""Positions need no weights in many models; none has been trained on as many as these."""
_SAMPLE = "The capital of Côte d'Ivoire is Yamoussoukro"
_TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken", "tekken.json")


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight as a file holds it."""

    file: str
    dtype: str
    shape: tuple[int, ...]


def stored_weights(name: str, folder: Path) -> dict[str, Stored]:
    """Return the weights of the safetensors files in `folder`; empty where there are none.

    Raises ModelError that names the file which is missing, damaged or cut short.
    """
    found = {}
    for file in _files(name, folder):
        try:
            with safe_open(folder / file, framework="pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118  # no mapping
                    part = tensors.get_slice(key)
                    found[key] = Stored(file, part.get_dtype(), tuple(part.get_shape()))
        except FileNotFoundError:
            raise ModelError(f"Model {name!r} lacks {file}, which {_INDEX} names; fetch it again.") from None
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"Model {name!r} has a damaged file: {file} is cut short or no safetensors ({error}); fetch it again."
            ) from error
    return found


def number_types(stored: Mapping[str, Stored]) -> set[str]:
    """Return the types of fractions that weights are `stored` in; tables beside them do not count."""
    return {weight.dtype for key, weight in stored.items() if weight.dtype in _FLOATS and not _BUFFERS.search(key)}


def _files(name: str, folder: Path) -> Sequence[str]:
    index = folder / _INDEX
    if (folder / _ONE).exists() or not index.exists():
        return [_ONE] if (folder / _ONE).exists() else []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if any(Path(each).name != each for each in names):
            raise ValueError("files outside the folder")
        return names
    except (ValueError, KeyError, AttributeError, TypeError, OSError, RecursionError) as error:
        raise ModelError(
            f"Model {name!r} has a damaged file: {_INDEX} has no map of weights; fetch it again."
        ) from error


def check_folder(name: str, folder: Path) -> None:
    """Raise ModelError for a folder without a tokenizer's files, or with an adapter beside the weights."""
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"Model {name!r} has an adapter beside its weights (adapter_config.json); merge it, or take it away."
        )
    if not any(file for pattern in _TOKENIZER for file in folder.glob(pattern)):
        raise ModelError(
            f"Model {name!r} has no tokenizer ({_TOKENIZER[0]}); copy the tokenizer's files to its folder."
        )


def check_sizes(name: str, settings: Mapping[str, object], stored: Mapping[str, Stored]) -> None:
    """Raise ModelError for a configuration of more layers or rows than its weights can hold, before they are made."""
    widest = max((size for weight in stored.values() for size in weight.shape), default=0)
    for key, value in settings.items():
        for pattern, most in ((_DEPTHS, len(stored)), (_WIDTHS, widest), (_POSITIONS, max(widest, _MOST_POSITIONS))):
            if stored and isinstance(value, int) and pattern.search(key) and value > most:
                raise ModelError(
                    f"Model {name!r} has {key} {value} in its config.json, more than its weights can hold; use the "
                    f"configuration and the weights of one model."
                )


def check_loaded(name: str, found: Mapping[str, Any], stored: Mapping[str, Stored]) -> None:
    """Raise ModelError where a model is not what its files hold; `found` is what transformers tells of loading."""
    for key, held, wanted in sorted(found.get("mismatched_keys", ()), key=str):
        raise ModelError(
            f"Model {name!r} has {key} of shape {list(held)}{_in(stored, key)}, and its config.json asks for "
            f"{list(wanted)}; use the configuration and the weights of one model."
        )
    for key, weight in stored.items():
        if weight.dtype not in _FLOATS and not _BUFFERS.search(key):
            raise ModelError(
                f"Model {name!r} has {key} of type {weight.dtype} in {weight.file}, rounded numbers whose scale its "
                f"config.json does not tell; use the checkpoint that it was made from."
            )
    if missing := sorted(found.get("missing_keys", ())):
        raise ModelError(
            f"Model {name!r} has no weights for {missing[0]} and {len(missing) - 1} others: it is no checkpoint of a "
            f"language model with its output layer; use one that is."
        )
    if strange := [key for key in sorted(found.get("unexpected_keys", ())) if not _harmless(key)]:
        raise ModelError(
            f"Model {name!r} has {strange[0]}{_in(stored, strange[0])} and {len(strange) - 1} other weights that the "
            f"model of its config.json has no place for (more layers, an adapter or another kind of model); use the "
            f"configuration and the weights of one model."
        )


def _harmless(key: str) -> bool:
    return any(pattern.search(key) for pattern in (_BUFFERS, _OTHER_HEADS, _NAMES))


def _in(stored: Mapping[str, Stored], key: str) -> str:
    """Return which file holds `key`, whose beginning may be another there."""
    file = next((each.file for own, each in stored.items() if own.endswith(key) or key.endswith(own)), None)
    return f" in {file}" if file else ""


def check_tokenizer(name: str, tokenizer: Any, rows: int, folder: Path) -> None:
    """Raise ModelError for a tokenizer that is not fast, not `folder`'s, or has words beyond the embedding's `rows`.

    Special tokens may have none: no text is spelt with them.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"Model {name!r} has no fast tokenizer, which the atlas needs to place words; convert it first."
        )
    _check_spelling(name, tokenizer, folder / "tokenizer.json")
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    beyond = {
        number: word for word, number in tokenizer.get_vocab().items() if number >= rows and number not in special
    }
    if beyond:
        raise ModelError(
            f"Model {name!r} has a tokenizer of {len(tokenizer)} tokens and an embedding of {rows} rows: "
            f"{beyond[min(beyond)]!r} ({min(beyond)}) has none; use the model's own tokenizer."
        )


def _check_spelling(name: str, tokenizer: Any, file: Path) -> None:
    """Raise ModelError where transformers, told nothing of the tokenizer in `file`, has made another of its words."""
    if not file.exists() or file.with_name("tokenizer_config.json").exists():
        return
    if Tokenizer.from_file(str(file)).encode(_SAMPLE, add_special_tokens=False).tokens != tokenizer.tokenize(_SAMPLE):
        raise ModelError(
            f"Model {name!r} has no tokenizer_config.json, and {type(tokenizer).__name__}, which transformers takes "
            f"then, spells {_SAMPLE!r} otherwise than its {file.name}; copy all of the tokenizer's files to its folder."
        )
