"""Seconds, floating-point operations and the machine's own rate.

On one thread of a processor, seconds are the processor's own, so that a busy machine changes little; with more threads
or on a GPU they are the clock's, and the machine should do nothing else.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


def timed(work: Callable[[], T], repeats: int = 2) -> tuple[float, T]:
    """Return the least time of `repeats` runs in seconds, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        start = _now()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        best = min(best, _now() - start)
    return best, result


def unit() -> str:
    """Return what `timed` counts, in words."""
    return "processor seconds of one thread" if _alone() else "seconds by the clock"


def _now() -> float:
    return time.process_time() if _alone() else time.perf_counter()


def _alone() -> bool:
    return torch.get_num_threads() == 1 and not torch.cuda.is_available()


def flops_of(work: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products that `work` runs."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of a plain product `[2048, 768] x [768, 3072]`."""
    left, right = (torch.randn(shape, device=device).to(dtype) for shape in ((2048, 768), (768, 3072)))
    for _ in range(5):
        left @ right
    seconds, _ = timed(lambda: [left @ right for _ in range(20)], repeats=3)
    return 20 * 2 * 2048 * 768 * 3072 / seconds
