"""Weights that wait outside the device until they are needed, by accelerate."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from torch import nn

from atlas.errors import UsageError


def offloading() -> dict[str, Any]:
    """Return what tells transformers to fill one device, then memory, then a temporary folder.

    Raises UsageError without accelerate.
    """
    if find_spec("accelerate") is None:
        raise UsageError("Device 'offload' needs accelerate; install it with `pip install 'neuron-atlas[large]'`.")
    from accelerate.utils import get_max_memory

    room = {place: size for place, size in get_max_memory().items() if place in (0, "cpu", "mps")}
    folder = mkdtemp(prefix="atlas-offload-")
    atexit.register(rmtree, folder, ignore_errors=True)
    return {"device_map": "auto", "max_memory": room, "offload_folder": folder}


@contextmanager
def at_hand(module: nn.Module) -> Iterator[None]:
    """Let the weights of `module` itself be readable inside the block, wherever they wait; changes to them are lost."""
    if all(not parameter.is_meta for parameter in module.parameters(recurse=False)):
        yield
        return
    from accelerate.utils import align_module_device

    with align_module_device(module, "cpu"):
        yield
