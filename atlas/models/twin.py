"""A model's untrained twin: the same architecture and tokenizer, weights drawn anew (METHOD 3b)."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel

from atlas.errors import ModelError
from atlas.models.loading import cast
from atlas.models.model import LanguageModel


def untrained(model: LanguageModel, seed: int) -> LanguageModel:
    """Return `model` with weights that its configuration's initialiser draws from `seed`, on the same device.

    What it shows is not knowledge. Its name says that it is untrained. Raises ModelError for a model that transformers
    cannot initialise, for one that is offloaded, and for one that has the drawn weights itself.
    """
    trained: Any = model.model
    if not isinstance(trained, PreTrainedModel) or not type(trained).__module__.startswith("transformers."):
        raise ModelError(
            f"Model {model.info.name!r} ({type(trained).__name__}) has no initialiser of its own in transformers, so "
            "it has no untrained twin; leave it out with --no-twin."
        )
    if any(parameter.is_meta for parameter in trained.parameters()):
        raise ModelError(
            f"Model {model.info.name!r} is offloaded, and the weights of an untrained twin would not fit either; "
            "use another --device, or --no-twin."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(trained)(deepcopy(trained.config)).float()
    twin = LanguageModel.wrap(fresh, model.tokenizer, model.info.name)
    if twin.info.digest == model.info.digest:
        raise ModelError(
            f"The weights of {model.info.name!r} are those that its initialiser draws from seed {seed}, so it is "
            "untrained itself; ask for a twin of another --seed."
        )
    twin.info = replace(twin.info, name=f"untrained-{seed}:{model.info.name}")
    cast(fresh, model.device, model.dtype)
    return twin
