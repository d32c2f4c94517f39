"""How much of the machine's own matrix-product rate the engine reaches, and what that makes of a whole data set."""

from functools import partial

import torch

from atlas.attribution import Settings, attribute
from benchmarks.clock import flops_of, matrix_rate, timed
from benchmarks.job import Job, mbert
from benchmarks.tables import Table

SETTINGS = Settings(method="kn", nodes=5, max_nodes=5)
BMLAMA17 = 115_464
"""Prompts of BMLAMA17 in all its languages."""


def tables(job: Job) -> list[Table]:
    """Share of the matrix-product rate in float32 and bfloat16."""
    count = 2000 if job.device.type == "cuda" else job.prompts
    rows = [_row(job, dtype, count) for dtype in (torch.float32, torch.bfloat16)]
    return [
        Table(
            f"Efficiency over {count} prompts, mBERT size, zero baseline, 5 nodes",
            (
                "dtype", "seconds a prompt", "GFLOP a prompt", "GFLOP/s of a plain product", "% of it reached",
                "hours for BMLAMA17",
            ),
            rows,
            f"bfloat16 is {rows[0][1] / rows[1][1]:.2f} times as fast as float32. "
            f"BMLAMA17: {BMLAMA17:,} prompts, projected.",
        )
    ]  # fmt: skip


def _row(job: Job, dtype: torch.dtype, count: int) -> tuple[str, float, float, float, float, float]:
    model, prompts = mbert(job, count, dtype=dtype)
    run = partial(attribute, model, prompts, SETTINGS)
    attribute(model, prompts[:1], SETTINGS)
    rate = matrix_rate(job.device, dtype)
    seconds = timed(run, repeats=1)[0] / count
    work = flops_of(run) / count
    reached = 100 * work / seconds / rate
    return str(dtype).removeprefix("torch."), seconds, work / 1e9, rate / 1e9, reached, seconds * BMLAMA17 / 3600
