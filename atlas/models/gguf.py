"""Models in a GGUF file, which transformers reads and dequantises (extra `gguf`)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from atlas.errors import ModelError

_MARKS = ("hf_quantizer", "quantization_method", "is_quantized")
_SAMPLE = "The capital of France is Paris"
"""What any vocabulary of Latin letters or bytes can spell."""


def gguf_file(name: str, source: str) -> Path | None:
    """Return the GGUF file that `source` is, or that a folder without a configuration holds; None for other sources.

    Raises ModelError for a folder of several, and where the package that reads them is not installed.
    """
    path = Path(source)
    if path.suffix.lower() == ".gguf":
        found = [path] if path.is_file() else []
    elif path.is_dir() and not (path / "config.json").exists():
        found = sorted(path.glob("*.gguf"))
    else:
        return None
    if len(found) > 1:
        raise ModelError(
            f"Model {name!r} is a folder of {len(found)} GGUF files ({found[0].name}, {found[1].name}, ...); name one."
        )
    if found and not all(map(find_spec, ("gguf", "accelerate"))):
        raise ModelError(f"Model {name!r} is a GGUF file; pip install 'neuron-atlas[gguf]' to read it.")
    return found[0] if found else None


@contextmanager
def dequantising() -> Iterator[Mapping[str, Any]]:
    """Yield the arguments of transformers' loading that make plain numbers of the file's; no bar is drawn inside.

    Versions of transformers without such an argument make nothing else.
    """
    settings = getattr(transformers, "GgufConfig", None)
    reader: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    bar = reader.tqdm
    reader.tqdm = partial(bar, disable=True)
    try:
        yield {"quantization_config": settings(dequantize=True)} if settings else {}
    finally:
        reader.tqdm = bar


def forget_quantisation(model: Any) -> None:
    """Take away what says that a model's weights, which are plain numbers now, are rounded ones."""
    for holder, names in ((model.config, ("quantization_config",)), (model, _MARKS)):
        for name in names:
            if name in vars(holder):
                delattr(holder, name)


def gguf_tokenizer(name: str, file: Path, config: Any, folder: str, **where: Any) -> Any:
    """Return the fast tokenizer of a GGUF file: that of a tokenizer.json beside it, or its own.

    Raises ModelError if it cannot spell plain English, as readers of GGUF do not know all kinds of tokenizers.
    """
    if (file.parent / "tokenizer_config.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    elif (beside := file.parent / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(beside))
        for kind in ("bos", "eos", "unk", "pad"):
            if isinstance(number := getattr(config, f"{kind}_token_id", None), int):
                setattr(tokenizer, f"{kind}_token", tokenizer.convert_ids_to_tokens(number))
    else:
        tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    spelt: Any = tokenizer.decode(tokenizer(_SAMPLE, add_special_tokens=False).input_ids)
    if "".join(spelt.split()) != "".join(_SAMPLE.split()):
        raise ModelError(
            f"Model {name!r} has a tokenizer in its GGUF file that is not read right ({_SAMPLE!r} becomes {spelt!r}); "
            f"put the model's tokenizer.json beside the file."
        )
    return tokenizer
