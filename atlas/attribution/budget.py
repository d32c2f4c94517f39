"""The memory that activations may take, and what happens when the machine refuses it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

log = logging.getLogger("atlas")

CPU_BYTES = 384 << 20
R = TypeVar("R")


@dataclass
class Budget:
    """Memory for activations in bytes, for a whole job: halved whenever memory is refused, with one warning."""

    bytes: int
    warned: bool = False

    @classmethod
    def of(cls, device: torch.device, size: int | None = None) -> "Budget":
        """Return a budget of `size` bytes; by default half of a GPU's memory, 384 MiB elsewhere."""
        if size is None and device.type == "cuda":
            size = torch.cuda.get_device_properties(device).total_memory // 2
        return cls(size or CPU_BYTES)

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
