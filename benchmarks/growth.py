"""How time and memory grow: with prompts, layers, width, answer tokens, copies in a batch, and the memory budget."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from atlas.attribution import Settings, attribute
from atlas.facts import Prompt
from atlas.models import LanguageModel
from benchmarks.clock import timed
from benchmarks.job import Job
from benchmarks.models import make_prompt, real_prompts, word_tokenizer
from benchmarks.tables import Table

SETTINGS = Settings(method="kn", rule="gauss-legendre", nodes=5, max_nodes=5)
ANSWER = "uno due tre quattro cinque sei"
BUDGETS = (128, 256, 512, 1024, 2048)
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen"


def tables(job: Job) -> list[Table]:
    """Time against each quantity, the others at 4 layers, 384 wide, 40 prompts of one token's answer."""
    ten = real_prompts(400, ("en", "es", "fr", "ru"))[::40]
    fixed = _answers(40, 1)

    def at(prompts: list[Prompt], layers: int = 4, hidden: int = 384, budget: int | None = None) -> float:
        model = _model(prompts, layers, hidden, job.device)
        attribute(model, prompts[:2], SETTINGS)
        return timed(lambda: attribute(model, prompts, SETTINGS, budget), repeats=1)[0] / len(prompts)

    return [
        _grow("prompts (the same ten, over and over)", (10, 30, 100, 300, 1000), lambda n: at(ten * (n // 10))),
        _grow("layers", (2, 4, 8, 12), lambda n: at(fixed, layers=n)),
        _grow("width", (192, 384, 768), lambda n: at(fixed, hidden=n)),
        _grow("answer tokens", (1, 2, 3, 6), lambda n: at(_answers(40, n))),
        _grow("budget, MiB", BUDGETS, lambda n: at(fixed, budget=n << 20)),
    ]


def lengths(job: Job) -> list[Table]:
    """Ten prompts of ten lengths beside many of the same ten, a masked and a causal model of 4 layers, 384 wide."""
    many, rows = 100 if job.quick else 1000, []
    ten = [make_prompt(f"[X] {' '.join(WORDS.split()[:count])} [Y]", "place", "answer") for count in range(3, 13)]
    for kind, make in (("masked", _model), ("causal", _causal)):
        model = make(ten, 4, 384, job.device)
        counts = (10, many, 10, many, 10)
        runs = [1000 * timed(partial(attribute, model, ten * (n // 10), SETTINGS), repeats=1)[0] / n for n in counts]
        few, most = min(runs[::2]), min(runs[1::2])
        rows.append((kind, few, most, few / most))
    return [
        Table(
            f"Prompts of ten lengths: one of each, and {many:,}",
            ("model", "ten, milliseconds a prompt", f"{many:,}, milliseconds a prompt", "ratio"),
            rows,
            "`kn` with 5 nodes; 6 to 15 words, special tokens among them; the least of some runs in turn.",
        )
    ]


def memory(job: Job) -> list[Table]:
    """Peak memory above the loaded model against the budget, each in a process of its own."""
    rows = []
    for budget in BUDGETS:
        command = [sys.executable, "-m", "benchmarks.growth", str(budget), job.device.type]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        rows.append((budget, json.loads(answer)["mib"], json.loads(answer)["mib"] / budget))
    return [
        Table(
            "Peak memory against the budget, mBERT's width, 6 layers, 40 prompts",
            ("budget, MiB", "peak above the model, MiB", "share of the budget"),
            rows,
            plot=("budget, MiB", "peak above the model, MiB"),
        )
    ]


def _grow(name: str, values: Iterable[int], measure: Callable[[int], float]) -> Table:
    rows = [(value, 1000 * measure(value)) for value in values]
    column = "milliseconds a prompt"
    return Table(f"Growth with {name}", (name, column), rows, plot=(name, column))


def _answers(count: int, tokens: int) -> list[Prompt]:
    answer = " ".join(ANSWER.split()[:tokens])
    return [make_prompt("the capital of [X] is [Y] .", f"place{i}", answer) for i in range(count)]


def _model(prompts: list[Prompt], layers: int, hidden: int, device: torch.device) -> LanguageModel:
    tokenizer = word_tokenizer([p.before + p.answer + p.after for p in prompts], 20_000)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_attention_heads=hidden // 64,
    )
    model = LanguageModel.wrap(BertForMaskedLM(config), tokenizer, "growth")
    model.model.to(device)
    return model


def _causal(prompts: list[Prompt], layers: int, hidden: int, device: torch.device) -> LanguageModel:
    tokenizer = word_tokenizer([p.before + " " + p.answer for p in prompts], 20_000)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=layers, n_embd=hidden, n_head=hidden // 64, bos_token_id=2, eos_token_id=3
    )
    model = LanguageModel.wrap(GPT2LMHeadModel(config), tokenizer, "growth")
    model.model.to(device)
    return model


def _peak(budget: int, device: str) -> None:
    """Print the peak memory of one job above what the loaded model takes, in MiB."""
    prompts = _answers(40, 1)
    model = _model(prompts, 6, 768, torch.device(device))
    attribute(model, prompts[:1], Settings(method="kn", nodes=2, max_nodes=2))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        attribute(model, prompts, SETTINGS, budget << 20)
        used = (torch.cuda.max_memory_allocated() - before) >> 20
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is in use
        before = _resident("VmRSS")
        attribute(model, prompts, SETTINGS, budget << 20)
        used = (_resident("VmHWM") - before) >> 10
    print(json.dumps({"mib": used}))


def _resident(name: str) -> int:
    """Return a line of Linux's account of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    _peak(int(sys.argv[1]), sys.argv[2])
