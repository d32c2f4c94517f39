"""The table of a GPU, no row begun after eight minutes: seconds a prompt and peak memory, by scorer, model and type.

    python -m benchmarks.gpu                          # where there is a GPU
    python -m benchmarks.gpu --device cpu --quick     # the same on small models, to try it

Random weights: a BERT of mBERT's size, and a GPT-2 of mGPT's width with 12 layers. Each row takes twice as many prompts
again while its share of the time allows; rows that come after the time are not measured. A GPU should do nothing else.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product

import torch

from atlas.attribution import Settings, attribute
from atlas.facts import Prompt
from atlas.knockouts.knockout import knock_out
from atlas.knockouts.sets import first_sets
from atlas.models import LanguageModel
from benchmarks.attribution import machine
from benchmarks.clock import timed
from benchmarks.knockout import some_neurons
from benchmarks.models import mbert_size, mgpt_width, real_prompts, word_tokenizer
from benchmarks.tables import Cell, Table

SECONDS = 480
"""After so many no row is begun, and none has more than its even share of them."""
MOST_PROMPTS = 256
METHODS = ("kn", "amig-mean", "amig")
DTYPES = (torch.float32, torch.bfloat16)
Work = Callable[[Sequence[Prompt]], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where there is no GPU to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="models of two layers, four prompts")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU here; run this where there is one, or add --device cpu --quick.", file=sys.stderr)
        return 1
    print(table(torch.device(options.device), quick=options.quick).text())
    return 0


def table(device: torch.device, *, quick: bool) -> Table:
    """Return the table of all models, number types and scorers."""
    end, rows = time.monotonic() + SECONDS, list[Sequence[Cell]]()
    share = SECONDS / (2 * len(DTYPES) * (len(METHODS) + 1))
    for (name, model, prompts), dtype in product(_models(device, quick=quick), DTYPES):
        model.model.to(dtype)
        for scorer, work in _works(model).items():
            known = time.monotonic() < end
            numbers = _measured(work, prompts, share, device) if known else (None, None, None)
            rows.append((name, str(dtype).removeprefix("torch."), scorer, *numbers))
    title = f"{'Small models' if quick else 'Real sizes'}, {machine(device)}"
    return Table(
        title, ("model", "numbers", "scorer", "prompts", "seconds a prompt", "peak above the model, MiB"), rows
    )


def _models(device: torch.device, *, quick: bool) -> Iterator[tuple[str, LanguageModel, list[Prompt]]]:
    """Yield the models, one at a time, with prompts that they can use."""
    prompts = real_prompts(4 * MOST_PROMPTS, ("en", "es", "fr", "ru"))
    tokenizer = word_tokenizer([p.before + p.answer + p.after for p in prompts], 20_000 if quick else 119_547)
    for make in (mbert_size, mgpt_width):
        model = make(tokenizer, layers=2 if quick else 12)
        model.model.to(device)
        usable = [prompt for prompt in prompts if model.kind == "masked" or prompt.template.ends_in_object]
        yield f"{model.info.name}, {model.info.layers} layers", model, usable[: 4 if quick else MOST_PROMPTS]


def _works(model: LanguageModel) -> Mapping[str, Work]:
    """Return what is measured: the scorers, and knock-outs of 20 neurons, each alone and in pairs."""
    sets = first_sets(some_neurons(model, "even"))
    works: dict[str, Work] = {name: partial(_attributed, model, name) for name in METHODS}
    return works | {f"{len(sets)} knock-outs": lambda prompts: knock_out(model, prompts, [sets] * len(prompts))}


def _attributed(model: LanguageModel, method: str, prompts: Sequence[Prompt]) -> object:
    return attribute(model, prompts, Settings(method=method))


def _measured(
    work: Work, prompts: Sequence[Prompt], share: float, device: torch.device
) -> tuple[int, float, float | None]:
    """Return prompts, seconds a prompt and peak MiB: of twice as many prompts again, while `share` seconds allow it.

    The first run, which also warms up, is of two prompts.
    """
    count, end = min(2, len(prompts)), time.monotonic() + share
    while True:
        before, start = _allocated(device), time.monotonic()
        seconds, _ = timed(partial(work, prompts[:count]), repeats=1)
        peak = None if before is None else (torch.cuda.max_memory_allocated(device) - before) / (1 << 20)
        took = time.monotonic() - start
        if count == len(prompts) or time.monotonic() + 2.5 * took > end:
            return count, seconds / count, peak
        count = min(2 * count, len(prompts))


def _allocated(device: torch.device) -> int | None:
    """Return what a GPU holds now, from where its peak is counted again; None for a processor."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
