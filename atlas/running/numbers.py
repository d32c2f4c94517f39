"""Which whole numbers the options of jobs take, whoever asks."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter
from typing import ParamSpec, TypeVar

from atlas.matching import check_whole

Given = ParamSpec("Given")
Found = TypeVar("Found")

MANY, HUGE = (1 << 31) - 1, (1 << 63) - 1
BOUNDS = {
    "seed": (-HUGE, HUGE), "sample_seed": (-MANY, MANY), "run": (0, HUGE), "limit": (0, MANY), "examples": (0, 20),
    "workers": (1, MANY), "top": (1, MANY), "max_order": (1, 6), "least_languages": (1, MANY), "steps": (1, MANY),
    "generate": (0, 200), "templates": (1, MANY), "neurons": (1, MANY), "threads": (1, 1024),
}  # fmt: skip
"""The least and the most that each may be."""


def bounded(function: Callable[Given, Found], options: Iterable[Parameter]) -> Callable[Given, Found]:
    """Return `function`, which is not called for one of its `options` that is no whole number within its bounds."""
    names = [each.name for each in options if each.name in BOUNDS and not isinstance(each.default, str)]

    @wraps(function)
    def run(*args: Given.args, **given: Given.kwargs) -> Found:
        for name in [each for each in names if given.get(each) is not None]:
            check_whole(f"--{name.replace('_', '-')}", given[name], *BOUNDS[name])
            given[name] = int(given[name])  # type: ignore[call-overload]  # it is whole; JSON takes none of numpy's
        return function(*args, **given)

    return run
