"""The memory that activations may take, and what happens when the machine refuses it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from atlas.models import LanguageModel

log = logging.getLogger("atlas")

LEAST_BYTES, MOST_BYTES = 384 << 20, 2 << 30
"""What small and what large models are given where memory is not a GPU's; a process that takes too much is killed."""
R = TypeVar("R")


@dataclass
class Budget:
    """Memory for activations in bytes, for a whole job: halved whenever memory is refused, with one warning."""

    bytes: int
    warned: bool = False

    @classmethod
    def of(cls, model: LanguageModel, size: int | None = None) -> "Budget":
        """Return a budget of `size` bytes; by default half of a GPU's memory, elsewhere what the weights take,
        384 MiB at least and 2 GiB at most.

        The larger the weights, the more copies it takes until their products are worth reading them.
        """
        if size is None and model.device.type == "cuda":
            size = torch.cuda.get_device_properties(model.device).total_memory // 2
        return cls(size or min(max(LEAST_BYTES, model.bytes), MOST_BYTES))

    def spend(self, work: Callable[[int], R]) -> R:
        """Return `work(bytes)`, tried again with half of it as long as memory is refused, down to 1/1024 of it."""
        least = self.bytes >> 10
        while True:
            try:
                return work(self.bytes)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_memory(error) or self.bytes <= least:
                    raise
            self._halve()

    def _halve(self) -> None:
        self.bytes //= 2
        if not self.warned:
            log.warning("Memory was refused; going on with %d MiB of activations, or less.", self.bytes >> 20)
        self.warned = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
