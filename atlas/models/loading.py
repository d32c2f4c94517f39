"""Loading a model by short name, Hugging Face id or folder."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
import transformers
from torch import nn
from torch.backends.cpu import get_cpu_capability
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedConfig,
)  # fmt: skip
from transformers.utils.hub import cached_file

from atlas.errors import ModelError, UsageError, lacks_memory
from atlas.facts.hub import hub_answers
from atlas.models.checkpoint import (
    Stored,
    check_folder,
    check_loaded,
    check_sizes,
    check_tokenizer,
    number_types,
    stored_weights,
)
from atlas.models.families import TWO_STACKS, family_of
from atlas.models.gguf import dequantising, forget_quantisation, gguf_file, gguf_tokenizer
from atlas.models.model import LanguageModel
from atlas.models.names import SHORT_NAMES, model_source, stack_of, with_stack
from atlas.models.offload import offloading

log = logging.getLogger("atlas")

_AUTO = {"masked": AutoModelForMaskedLM, "causal": AutoModelForCausalLM}
_AUTO |= dict.fromkeys(TWO_STACKS, AutoModelForSeq2SeqLM)

_MOST_CHARACTERS = 200
"""Of what a library says about a model."""

Dtype = Literal["float32", "float64", "bfloat16"]


def load_model(
    name: str = "demo-mbert",
    *,
    device: str = "auto",
    dtype: Dtype = "float32",
    revision: str | None = None,
    allow_pickle: bool = False,
) -> LanguageModel:
    """Load a language model of one of the families.

    `name` is a short name (`mbert`, `llama`, see `atlas models`), a bundled model (`demo-mbert`, `demo-mgpt`), a
    Hugging Face id, a folder or a GGUF file; with `:encoder` behind it the neurons are an encoder-decoder's encoder's.
    Weights come from safetensors unless `allow_pickle`; code from the hub never runs. `device` may be `offload`: what
    does not fit on one GPU waits in the computer's memory, and what does not fit there on disk. Raises ModelError if
    the model cannot be had or its family is not supported, UsageError for a wrong device or dtype.
    """
    number, place = _dtype(dtype), None if device == "offload" else _device(device)
    if number == torch.bfloat16 and place == torch.device("cpu") and get_cpu_capability() == "AVX2":
        log.warning("bfloat16 is slow here, as this processor has no products of it; take float32 if memory allows.")
    model, tokenizer = _read(name, revision, number, allow_pickle=allow_pickle, offloaded=place is None)
    source = _source(name)  # files here are of no revision, whatever was asked for; a copy of the hub's is a commit's
    found = None if Path(source).exists() else revision or _folder(source, revision).name
    wrapped = LanguageModel.wrap(model, tokenizer, name, found)
    if place is not None:
        cast(wrapped.model, place, number)
    elif wrapped.dtype != number:
        raise ModelError(
            f"Model {name!r} is stored in {wrapped.dtype}, which cannot be narrowed while offloaded; use that --dtype."
        )
    return wrapped


def cast(model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a model and change its number type, but not that of its rotary frequencies, as transformers does."""
    kept = {name: own for name, own in model.named_buffers(remove_duplicate=False) if name.endswith("inv_freq")}
    model.to(device=device, dtype=dtype)
    for (owner, _, name), own in ((name.rpartition("."), own) for name, own in kept.items()):
        setattr(model.get_submodule(owner), name, own.to(device))


def _read(
    name: str, revision: str | None, number: torch.dtype, *, allow_pickle: bool, offloaded: bool
) -> tuple[Any, Any]:
    """Return a model and its fast tokenizer."""
    source = _source(name)
    file = gguf_file(name, source)
    local = Path(source).exists() or not hub_answers()
    where: dict[str, Any] = {"revision": revision, "local_files_only": local, "trust_remote_code": False}
    if file is not None:
        source, where = str(file.parent), {**where, "gguf_file": file.name}
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        config = _configuration(source, where)
        kind, folder = family_of(config, stack_of(name)).kind, _folder(source, revision)
        stored: Mapping[str, Stored] = {}
        if local and file is None:
            check_folder(name, folder)
            stored = stored_weights(name, folder)
            check_sizes(name, config.to_dict(), stored)
        # A wider type is made while reading, so that the weights are never there twice; `check_loaded` tells of sizes.
        model, found = _weights(
            _AUTO[kind], source, file, config=config, dtype=_read_in(number, file, stored), output_loading_info=True,
            use_safetensors=None if allow_pickle else True, ignore_mismatched_sizes=True,
            **where, **(offloading() if offloaded else {}),
        )  # fmt: skip
        check_loaded(name, found, {} if file else stored_weights(name, folder))
        spelling = partial(gguf_tokenizer, name, file, config) if file else AutoTokenizer.from_pretrained
        tokenizer = spelling(source, **where)
        check_tokenizer(name, tokenizer, model.get_input_embeddings().weight.shape[0], _folder(source, revision))
    except Exception as error:  # whatever a damaged file or an impossible configuration makes the libraries raise
        if isinstance(error, ModelError | UsageError) or lacks_memory(error):
            raise
        if file is None:
            stored_weights(name, _folder(source, revision))
        raise ModelError(_reason(name, str(file or source), error)) from error
    return model, tokenizer


def _weights(kind: Any, source: str, file: Path | None, **options: Any) -> tuple[Any, Any]:
    """Return a model of a class of transformers', and what it tells of loading; plain numbers of a GGUF file."""
    if file is None:
        model, found = kind.from_pretrained(source, **options)
        return model, found
    with dequantising() as more:
        model, found = kind.from_pretrained(source, **options, **more)
    forget_quantisation(model)
    return model, found


def _read_in(number: torch.dtype, file: Path | None, stored: Mapping[str, Stored]) -> torch.dtype | str:
    """Return the type to read weights in: a wide one itself, as they are `stored` for a narrow one, if all are alike.

    So none is rounded before the digest of what was read.
    """
    if number.itemsize >= 4:
        return number
    return "auto" if file is None and len(number_types(stored)) < 2 else torch.float32


def _source(name: str) -> str:
    """Return the folder or Hugging Face id that `name` stands for; ModelError for a short name that is a folder too."""
    source, plain = model_source(name), with_stack(name)
    if plain in SHORT_NAMES and (Path(plain) / "config.json").exists():
        raise ModelError(
            f"Model {plain!r} is the short name of {source} and a folder here; say {'./' + plain} or {source}."
        )
    return source


def _configuration(source: str, where: Mapping[str, Any]) -> Any:
    """Return a model's configuration without what it says of the code to run: that is the atlas's to choose.

    Raises ModelError for a type of model that is not known; its folder's own code is not asked.
    """
    options = {key: value for key, value in where.items() if key != "trust_remote_code"}
    settings, _ = PreTrainedConfig.get_config_dict(source, **options)
    if not settings:
        raise OSError("there is no config.json, or nothing in it")
    if settings.get("model_type") not in CONFIG_MAPPING:
        family_of(SimpleNamespace(**{"model_type": None, **settings}))
    config = AutoConfig.from_pretrained(source, **where)
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if part is not None:
            part._attn_implementation = None
            part.dtype = None  # the files say which
            if getattr(part, "chunk_size_feed_forward", 0):
                part.chunk_size_feed_forward = 0  # the same sums at once: hooks see all tokens
            if getattr(part, "slow_but_exact", False):
                part.slow_but_exact = False  # as above: BLOOM's slices of a down-projection pass its hooks by
    return config


def _folder(source: str, revision: str | None) -> Path:
    """Return where a model's files lie: a folder, or the hub's copy here; a path of nothing where there is none."""
    if Path(source).exists():
        return Path(source)
    options = {"revision": revision, "local_files_only": True, "_raise_exceptions_for_missing_entries": False}
    try:
        found = cached_file(source, "config.json", **options)
    except OSError:
        found = None
    return Path(found).parent if found else Path(source)


def _device(name: str) -> torch.device:
    """Return the device: `auto` takes cuda, then mps, then cpu."""
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    there = sorted(kind for kind in count if count[kind])
    if name == "auto":
        return torch.device(next(kind for kind in count if kind in there))
    if name not in {*there, *(f"{kind}:{number}" for kind in there for number in range(count[kind]))}:
        raise UsageError(f"Device {name!r} is not available here; choose auto or one of: {', '.join(there)}, offload.")
    return torch.device(name)


def _dtype(name: str) -> torch.dtype:
    choices = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
    if name == "float16":
        raise UsageError(
            "Dtype 'float16' has no numbers below 6e-8, so gradients of improbable answers would vanish; use bfloat16."
        )
    if name not in choices:
        raise UsageError(f"Dtype {name!r} is not known; choose one of: {', '.join(choices)}.")
    return choices[name]


def _reason(name: str, source: str, error: Any) -> str:
    """Say in one sentence why a model could not be loaded, and what to do."""
    first = " ".join(str(error).split())[:_MOST_CHARACTERS] or type(error).__name__
    if "safetensors" in str(error) and "allow_pickle" not in str(error):
        return f"Model {name!r} has no safetensors weights ({first}); pass --allow-pickle if you trust its source."
    if source.lower().endswith(".gguf"):
        return f"Model {name!r} cannot be read from its GGUF file ({first}); use the checkpoint that it was made from."
    if Path(source).exists():
        return f"Model folder {name!r} cannot be loaded ({first}); it needs a config, safetensors and a tokenizer."
    shadowed = f", and the folder {name} here is meant by ./{name}" if Path(with_stack(name)).is_dir() else ""
    return (
        f"Model {name!r} ({source}) is neither a folder nor in the local Hugging Face cache, and it cannot be fetched "
        f"from here{shadowed}; download it once with network, or use demo-mbert."
    )
