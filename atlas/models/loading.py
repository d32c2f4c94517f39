"""Loading a model by short name, Hugging Face id or folder."""

from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
import transformers
from huggingface_hub import constants
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from atlas.errors import ModelError, UsageError
from atlas.models.families import TWO_STACKS, family_of
from atlas.models.model import LanguageModel
from atlas.models.names import model_source, stack_of
from atlas.models.offload import offloading

_AUTO = {"masked": AutoModelForMaskedLM, "causal": AutoModelForCausalLM}
_AUTO |= dict.fromkeys(TWO_STACKS, AutoModelForSeq2SeqLM)

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
    Hugging Face id or a folder; with `:encoder` behind it the neurons are an encoder-decoder's encoder's. Weights come
    from safetensors unless `allow_pickle`; code from the hub never runs. `device` may be `offload`: what does not fit
    on one GPU waits in the computer's memory, and what does not fit there on disk. Raises ModelError if the model
    cannot be had or its family is not supported, UsageError for a wrong device or dtype.
    """
    number, place = _dtype(dtype), None if device == "offload" else _device(device)
    model, tokenizer, found = _read(name, revision, number, allow_pickle=allow_pickle, offloaded=place is None)
    wrapped = LanguageModel.wrap(model, tokenizer, name, revision or found)
    if place is not None:
        wrapped.model.to(device=place, dtype=number)
    elif wrapped.dtype != number:
        raise ModelError(
            f"Model {name!r} is stored in {wrapped.dtype}, which cannot be narrowed while offloaded; use that --dtype."
        )
    return wrapped


def _read(
    name: str, revision: str | None, number: torch.dtype, *, allow_pickle: bool, offloaded: bool
) -> tuple[Any, Any, str | None]:
    """Return a model, its fast tokenizer and the revision that was found."""
    source = model_source(name)
    local = Path(source).exists() or not _hub_answers()
    spread = offloading() if offloaded else {}
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(source, revision=revision, local_files_only=local)
        kind = family_of(config, stack_of(name)).kind
        safe = None if allow_pickle else True
        # A wider type is made while reading, so that the weights are never there twice; a narrower one only after the
        # digest of what was read.
        read = number if number.itemsize >= 4 else "auto"
        model, found = _AUTO[kind].from_pretrained(
            source, revision=revision, dtype=read, use_safetensors=safe, local_files_only=local,
            output_loading_info=True, **spread,
        )  # fmt: skip
        _refuse_missing(name, sorted(found["missing_keys"]))
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, local_files_only=local)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(_reason(name, source, error)) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"Model {name!r} has no fast tokenizer, which the atlas needs to place words; convert it first."
        )
    return model, tokenizer, getattr(config, "_commit_hash", None)


def _refuse_missing(name: str, missing: list[str]) -> None:
    """Raise ModelError for a checkpoint without some of the weights, which would be random."""
    if missing:
        raise ModelError(
            f"Model {name!r} has no weights for {missing[0]} and {len(missing) - 1} others: it is no checkpoint of a "
            f"language model with its output layer; use one that is."
        )


def _hub_answers() -> bool:
    """Return whether the Hugging Face hub can be asked: one try, as its library repeats each of its own for 23 s."""
    if constants.is_offline_mode():
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=5).close()
    except HTTPError:
        return True
    except OSError:
        return False
    return True


def _device(name: str) -> torch.device:
    """Return the device: `auto` takes cuda, then mps, then cpu."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    if not has.get(name.split(":")[0], False):
        there = ", ".join(kind for kind, present in has.items() if present)
        raise UsageError(f"Device {name!r} is not available here; choose auto or one of: {there}, offload.")
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
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "safetensors" in str(error) and "allow_pickle" not in str(error):
        return f"Model {name!r} has no safetensors weights ({first}); pass --allow-pickle if you trust its source."
    if Path(source).exists():
        return f"Model folder {name!r} cannot be loaded ({first}); it needs a config, safetensors and a tokenizer."
    return (
        f"Model {name!r} ({source}) is neither a folder nor in the local Hugging Face cache, and it cannot be fetched "
        f"from here; download it once with network, or use demo-mbert."
    )
