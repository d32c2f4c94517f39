"""The attribution engine beside its peers, the machine, and itself as the job grows.

    python -m benchmarks.attribution --quick          # the ratios, in some minutes
    python -m benchmarks.attribution --write docs     # everything, into docs/benchmarks.md and its plot

Random weights of real sizes; real prompts of BMLAMA where `ATLAS_TEST_DATA` (or ../shared/data) has them, else the
bundled ones. All sides of a comparison run in turn in one process.
"""

import argparse
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.facts import Prompt
from atlas.models import LanguageModel, load_model
from benchmarks import growth, rivals
from benchmarks.clock import flops_of, matrix_rate, timed
from benchmarks.models import mbert_size, mgpt_width, real_prompts, word_tokenizer
from benchmarks.tables import Table, write_page

KN = Settings(method="kn")
AMIG = Settings(method="amig")
Scores = NDArray[np.float32] | None
RIVALS = {"knowledge-neurons, 20 steps": rivals.knowledge_neurons, "captum, 20 Gauss nodes": rivals.captum}


@dataclass(frozen=True)
class Job:
    """How much to measure: prompts of the batch, prompts given to the peers, and whether to be quick."""

    device: torch.device
    prompts: int
    peer_prompts: int
    quick: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; with `--write`, put them into a page beside their plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the ratios alone, on fewer prompts")
    parser.add_argument("--write", type=Path, help="folder of benchmarks.md and its plot")
    parser.add_argument("--only", nargs="*", choices=sorted(SECTIONS), help="sections to run")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    job = Job(device, 20 if options.quick else 100, 1 if options.quick else 3, options.quick)
    tables = []
    for name in options.only or (QUICK if options.quick else list(SECTIONS)):
        for table in SECTIONS[name](job):
            print(table.text(), flush=True)
            tables.append(table)
    if options.write:
        write_page(options.write, machine(device), tables)
    return 0


def machine(device: torch.device) -> str:
    """Describe where the numbers were measured."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, Python {platform.python_version()}"


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def peers(job: Job) -> list[Table]:
    """Seconds per prompt and error against 256 nodes: knowledge-neurons, captum and the atlas, zero baseline."""
    model, prompts = _mbert(job, single=True)
    few = prompts[: job.peer_prompts]
    exact = [r.scores for r in attribute(model, few, Settings(method="kn", nodes=256, max_nodes=256))]
    rows: list[tuple[str, float, float]] = []
    for name, run in RIVALS.items():
        seconds, scores = timed(partial(_each, run, model, few), repeats=1)
        rows.append((name, seconds / len(few), _error(scores, exact)))
    same = Settings(method="kn", rule="peer-20")
    for name, settings in (("atlas kn, the peer's 20 steps", same), ("atlas kn", KN), ("atlas amig", AMIG)):
        seconds, found = timed(partial(attribute, model, prompts, settings), repeats=1)
        error = float("nan") if settings is AMIG else _error([r.scores for r in found[: len(few)]], exact)
        rows.append((name, seconds / len(prompts), error))
    table = Table(
        "Side by side, mBERT size, per prompt",
        ("engine", "seconds", "times knowledge-neurons", "times captum", "error against 256 nodes"),
        [(n, s, rows[0][1] / s, rows[1][1] / s, e) for n, s, e in rows],
        "Error: largest difference of a score from 256 Gauss-Legendre nodes over the largest score; mean over prompts.",
    )
    return [table]


def causal(job: Job) -> list[Table]:
    """The fast path against the hook-based reference on a causal model of mGPT's width, four layers."""
    prompts = [p for p in real_prompts(200, ("en", "es", "fr")) if p.template.ends_in_object][: job.peer_prompts * 4]
    model = mgpt_width(word_tokenizer([p.before + p.answer for p in prompts], 20_000))
    model.model.to(job.device)
    few = prompts[: job.peer_prompts]
    settings = Settings(method="kn", nodes=20, max_nodes=20)
    slow, wanted = timed(partial(_each, rivals.reference, model, few), repeats=1)
    fast, found = timed(partial(attribute, model, prompts, settings), repeats=2)
    ratio = (slow / len(few)) / (fast / len(prompts))
    error = _error([r.scores for r in found[: len(few)]], wanted)
    table = Table(
        "Causal model of mGPT's width, 4 layers, 20 Gauss-Legendre nodes, per prompt",
        ("path", "seconds", "times the reference", "difference"),
        [("hook-based reference", slow / len(few), 1.0, 0.0), ("atlas", fast / len(prompts), ratio, error)],
    )
    return [table]


def efficiency(job: Job) -> list[Table]:
    """Share of the machine's own matrix-product rate, in float32 and bfloat16."""
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        model, prompts = _mbert(job, dtype=dtype)
        settings = Settings(method="kn", nodes=5, max_nodes=5)
        rate = matrix_rate(job.device, dtype)
        work = flops_of(partial(attribute, model, prompts, settings)) / len(prompts)
        seconds = timed(partial(attribute, model, prompts, settings), repeats=1)[0] / len(prompts)
        name = str(dtype).removeprefix("torch.")
        rows.append((name, seconds, work / 1e9, rate / 1e9, 100 * work / seconds / rate))
    table = Table(
        f"Efficiency over {len(prompts)} prompts, mBERT size, zero baseline, 5 nodes",
        ("dtype", "seconds a prompt", "GFLOP a prompt", "GFLOP/s of a plain product", "% of it reached"),
        rows,
        f"bfloat16 is {rows[0][1] / rows[1][1]:.2f} times as fast as float32.",
    )
    return [table]


def trained(job: Job) -> list[Table]:
    """On the trained demo models: nodes spent, completeness, and what bfloat16 changes."""
    from atlas.facts import read

    facts = read("bundled", limit=10 if job.quick else 60)
    rows, short = [], []
    for name in ("demo-mbert", "demo-mgpt"):
        models = {dtype: load_model(name, dtype=dtype, device=str(job.device)) for dtype in ("float32", "bfloat16")}
        for settings in (KN, AMIG):
            found = _usable(attribute(models["float32"], list(facts.prompts()), settings))
            rounded = _usable(attribute(models["bfloat16"], list(facts.prompts()), settings))
            errors = np.concatenate([_relative(r) for r in found])
            nodes = float(np.mean([r.layers.nodes.mean() for r in found if r.layers]))
            rows.append(
                (name, settings.method, len(found), nodes, 100 * float(np.mean(errors <= 1)), float(errors.max()))
            )
            short.append((name, settings.method, *_agreement(found, rounded)))
    nodes_table = Table(
        "Trained demo models, tolerance 1 %",
        ("model", "method", "prompts", "nodes a layer, mean", "% of layers within tolerance", "worst, of tolerance"),
        rows,
    )
    return [
        nodes_table,
        Table("bfloat16 against float32", ("model", "method", "rank correlation", "overlap of neurons"), short),
    ]


def _relative(result: PromptAttribution) -> np.ndarray:
    """Return the completeness error of each layer over what the tolerance of 1 % allows."""
    layers = result.layers
    assert layers is not None
    allowed = 0.01 * np.maximum(np.abs(layers.f - layers.f_baseline), 0.01 * layers.f)
    ratio: np.ndarray = layers.completeness_error / allowed
    return ratio


def _agreement(found: Sequence[PromptAttribution], other: Sequence[PromptAttribution]) -> tuple[float, float]:
    """Return mean rank correlation of all scores and mean Jaccard overlap of the neurons above 0.2 of the maximum."""
    correlations, overlaps = [], []
    for a, b in zip(found, other, strict=True):
        assert a.scores is not None
        assert b.scores is not None
        first, second = (scores.ravel().argsort().argsort().astype(float) for scores in (a.scores, b.scores))
        correlations.append(np.corrcoef(first, second)[0, 1])
        sets = [set(np.flatnonzero(scores > 0.2 * scores.max())) for scores in (a.scores, b.scores)]
        overlaps.append(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    return float(np.mean(correlations)), float(np.mean(overlaps))


def _usable(results: Sequence[PromptAttribution]) -> list[PromptAttribution]:
    return [result for result in results if result.scores is not None]


def _each(
    run: Callable[[LanguageModel, Prompt], Scores], model: LanguageModel, prompts: Sequence[Prompt]
) -> list[Scores]:
    return [run(model, prompt) for prompt in prompts]


def _error(scores: Sequence[Scores], exact: Sequence[Scores]) -> float:
    pairs = [(a, b) for a, b in zip(scores, exact, strict=True) if a is not None and b is not None]
    return float(np.mean([np.abs(a - b).max() / np.abs(b).max() for a, b in pairs]))


def _mbert(job: Job, *, single: bool = False, dtype: torch.dtype = torch.float32) -> tuple[LanguageModel, list[Prompt]]:
    """Return an mBERT-size model and the job's prompts; `single` keeps those whose answer is one word."""
    prompts = real_prompts(4 * job.prompts, ("en", "es", "fr", "ru"))
    tokenizer = word_tokenizer([p.before + p.answer + p.after for p in prompts])
    model = mbert_size(tokenizer, dtype=dtype)
    model.model.to(job.device)
    fitting = [p for p in prompts if not single or len(model.steps(p)) == 1]
    return model, fitting[: job.prompts]


SECTIONS: dict[str, Callable[[Job], list[Table]]] = {
    "peers": peers,
    "causal": causal,
    "efficiency": efficiency,
    "trained": trained,
    "growth": lambda job: growth.tables(job.device, quick=job.quick),
    "memory": lambda job: growth.memory(job.device),
}
QUICK = ["peers", "causal", "efficiency", "trained"]

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
