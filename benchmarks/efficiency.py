"""How much of the machine's own matrix-product rate the engine reaches, and what that makes of a whole data set."""

from functools import partial

import torch

from atlas.attribution import Settings, attribute
from benchmarks.clock import flops_of, matrix_rate, timed
from benchmarks.job import Job, mbert
from benchmarks.tables import Table

SETTINGS = Settings(method="kn", nodes=5, max_nodes=5)
DTYPES = (torch.float32, torch.bfloat16)
BMLAMA17 = 115_464
"""Prompts of BMLAMA17 in all its languages."""


def tables(job: Job) -> list[Table]:
    """Share of the matrix-product rate in float32 and bfloat16."""
    count = 2000 if job.device.type == "cuda" else job.prompts
    seconds, rates = zip(*(_seconds_and_rate(job, dtype, count) for dtype in DTYPES), strict=True)
    work = _work(job, count)
    rows = [
        (str(dtype).removeprefix("torch."), s, work / 1e9, rate / 1e9, 100 * work / s / rate, s * BMLAMA17 / 3600)
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


def _seconds_and_rate(job: Job, dtype: torch.dtype, count: int) -> tuple[float, float]:
    """Return seconds a prompt, and the rate of a plain product before and after, the better one."""
    model, prompts = mbert(job, count, dtype=dtype)
    attribute(model, prompts[:1], SETTINGS)
    before = matrix_rate(job.device, dtype)
    seconds = timed(partial(attribute, model, prompts, SETTINGS), repeats=1)[0] / count
    return seconds, max(before, matrix_rate(job.device, dtype))


def _work(job: Job, count: int) -> float:
    """Return floating-point operations a prompt, the same in every number type."""
    model, prompts = mbert(job, count, dtype=torch.bfloat16)
    return flops_of(partial(attribute, model, prompts, SETTINGS)) / count
