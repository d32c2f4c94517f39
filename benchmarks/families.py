"""A gated model of Llama 3 8B's width beside the hook-based reference, and what loading a model takes.

    python -m benchmarks.families [width] [loading]

Random weights; nothing is downloaded. `width` needs some 9 GB of memory.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from atlas.attribution import Settings, attribute
from atlas.models import LanguageModel
from benchmarks import rivals
from benchmarks.clock import timed
from benchmarks.models import real_prompts, word_tokenizer
from benchmarks.tables import Table

LAYERS = 4
PROMPTS = 8
WORDS = 20_000
SAME = Settings(method="kn", rule="gauss-legendre", nodes=rivals.STEPS, max_nodes=rivals.STEPS)
PROBE = """
import sys
from pathlib import Path
import atlas.models
def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("VmHWM"))
before = most()
atlas.models.load_model(sys.argv[1], device="cpu", dtype=sys.argv[2])
print(before, most())
"""


def main(names: Sequence[str]) -> None:
    """Print the tables of the sections named, or of all."""
    sections = {"width": width, "loading": loading}
    for name in names or sections:
        print(sections[name]().text(), flush=True)


def llama_width(words: Sequence[str]) -> LanguageModel:
    """Return four random layers of Llama 3 8B's shape: 4,096 wide, 14,336 neurons a layer, 32 heads on 8 of keys."""
    tokenizer = word_tokenizer(words, WORDS)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=4096, intermediate_size=14336, num_hidden_layers=LAYERS,
        num_attention_heads=32, num_key_value_heads=8, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    model.to_empty(device="cpu")
    model.model.rotary_emb = LlamaRotaryEmbedding(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.fill_(1)
            else:
                parameter.uniform_(-0.035, 0.035)  # the spread of Llama's own initialisation
    return LanguageModel.wrap(model, tokenizer, "llama-width")


def width() -> Table:
    """The fast path against the hook-based reference, zero baseline, the same 20 Gauss-Legendre nodes."""
    prompts = [p for p in real_prompts(200, ("en", "es", "fr")) if p.template.ends_in_object][:PROMPTS]
    model = llama_width([p.before + p.answer for p in prompts])
    prompts.sort(key=lambda prompt: len(model.steps(prompt)))
    alone = partial(attribute, model, prompts[:1], SAME)
    attribute(model, prompts[:1], Settings(method="kn", nodes=2, max_nodes=2))
    fast, found = timed(alone, repeats=2)
    batch, _ = timed(partial(attribute, model, prompts, SAME), repeats=1)
    slow, wanted = timed(partial(rivals.reference, model, prompts[0]), repeats=1)
    scores = found[0].scores
    assert scores is not None
    error = float(np.abs(scores - wanted).max() / np.abs(wanted).max())
    steps = [len(model.steps(prompt)) for prompt in prompts]
    each = batch / sum(steps)
    return Table(
        f"Llama 3 8B's width, {LAYERS} layers, float32, 20 Gauss-Legendre nodes, per answer token",
        ("path", "seconds", "times the reference", "difference"),
        [
            ("hook-based reference", slow / steps[0], 1.0, 0.0),
            ("atlas, one prompt", fast / steps[0], slow / fast, error),
            (f"atlas, {len(prompts)} prompts", each, slow / steps[0] / each, float("nan")),
        ],
        f"{torch.get_num_threads()} threads, {len(model.steps(prompts[0])[0].ids)} tokens in the first prompt.",
    )


def loading() -> Table:
    """The most memory that loading took, over the size of the weights in the number type asked for; 140 M weights."""
    rows = []
    tokenizer = word_tokenizer(["a word"], 2000)
    config = LlamaConfig(
        vocab_size=2000, hidden_size=1024, intermediate_size=3584, num_hidden_layers=10, num_attention_heads=16,
        num_key_value_heads=4,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        model: Any = LlamaForCausalLM(config)
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        count = sum(parameter.numel() for parameter in model.parameters())
        del model
        for dtype, size in (("bfloat16", 2), ("float32", 4)):
            rows.append((dtype, count * size / 1e9, _peak(Path(folder), dtype) / 1e9))
    return Table(
        "Memory to load a bfloat16 checkpoint, GB",
        ("number type", "weights", "most memory", "ratio"),
        [(dtype, weights, most, most / weights) for dtype, weights, most in rows],
        "Most memory: resident, above what the imports take; pages of the file that the system may drop count too.",
    )


def _peak(folder: Path, dtype: str) -> float:
    """Return the most resident memory in bytes while a fresh process loads a model, above its imports; Linux alone."""
    done = subprocess.run([sys.executable, "-c", PROBE, str(folder), dtype], check=True, capture_output=True, text=True)
    before, most = map(int, done.stdout.split())
    return 1024.0 * (most - before)


if __name__ == "__main__":
    main(sys.argv[1:])
