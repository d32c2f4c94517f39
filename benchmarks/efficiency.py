"""How much of the machine's own matrix-product rate the engine reaches, and what that makes of a whole data set."""

from collections.abc import Callable
from functools import partial

import torch

from atlas.attribution import Settings, attribute
from atlas.models import LanguageModel
from benchmarks.clock import flops_of, matrix_rate, timed
from benchmarks.job import Job, mbert
from benchmarks.tables import Table

SETTINGS = Settings(method="kn", rule="gauss-legendre", nodes=5, max_nodes=5)
DTYPES = (torch.float32, torch.bfloat16)
BMLAMA17 = 115_464
"""Prompts of BMLAMA17 in all its languages."""


def tables(job: Job) -> list[Table]:
    """Share of the matrix-product rate in float32 and bfloat16."""
    count = 2000 if job.device.type == "cuda" else job.prompts
    model, prompts = mbert(job, count)
    run = partial(attribute, model, prompts, SETTINGS)
    seconds, rates = zip(*(_seconds_and_rate(job, model, run, dtype) for dtype in DTYPES), strict=True)
    work = flops_of(run)
    rows = [
        (_name(dtype), s / count, work / count / 1e9, rate / 1e9, 100 * work / s / rate, s / count * BMLAMA17 / 3600)
        for dtype, s, rate in zip(DTYPES, seconds, rates, strict=True)
    ]
    return [
        Table(
            f"Efficiency over {count} prompts, mBERT size, zero baseline, 5 nodes",
            (
                "dtype", "seconds a prompt", "GFLOP a prompt", "GFLOP/s of a plain product", "% of it reached",
                "hours for BMLAMA17",
            ),
            rows,
            f"bfloat16 is {seconds[0] / seconds[1]:.2f} times as fast as float32; a plain product, "
            f"{rates[1] / rates[0]:.2f} times. "
            f"BMLAMA17: {BMLAMA17:,} prompts, projected.",
        )
    ]  # fmt: skip


def _seconds_and_rate(
    job: Job, model: LanguageModel, run: Callable[[], object], dtype: torch.dtype
) -> tuple[float, float]:
    """Return the seconds of `run` in `dtype`, and the rate of a plain product before and after, the better one."""
    model.model.to(dtype)
    before = matrix_rate(job.device, dtype)
    seconds, _ = timed(run, repeats=1)
    return seconds, max(before, matrix_rate(job.device, dtype))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
