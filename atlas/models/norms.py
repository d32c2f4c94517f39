"""Norms that stand behind down-projections (Gemma 2 and 3, OLMo 2), held at a size (METHOD 2).

Such a norm gives what the neurons write one size, whatever they are multiplied with, so F as a function of them jumps
at zero. While the root mean square that it divides by is held, it is a linear map, and every neuron has its own part in
what the block adds to the residual stream.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from atlas.errors import ModelError
from atlas.models.hooks import Network, neurons_replaced, now

_LARGE = 1e4
"""A constant vector of such numbers comes out of a norm by root mean square as the norm's gain."""


def held_norm(model: Network, layer: int, written: Tensor) -> Tensor:
    """Return what the norm of `layer` multiplies each coordinate of `written` `[..., hidden]` with.

    That is its gain over the root mean square of `written`, the same shape; 0 where nothing is written.
    """
    norm: Any = model.norm(layer)
    wide = torch.promote_types(written.dtype, torch.float32)
    gain = norm.forward(torch.full_like(written, _LARGE)).to(wide)
    scaled, given = gain * written.to(wide), norm.forward(written).to(wide)
    square = scaled.square().sum(-1, keepdim=True).clamp_min(torch.finfo(wide).tiny)
    factor: Tensor = (gain * (given * scaled).sum(-1, keepdim=True) / square).to(written.dtype)
    return factor


@contextmanager
def norms_held(model: Network) -> Iterator[None]:
    """Let changes of neurons made inside the block act behind the norms behind down-projections, at the queries.

    Such a norm has there the size that the unchanged neurons give it. Without such norms nothing is done.
    """
    with ExitStack() as stack:
        for layer in range(model.info.layers):
            if (norm := model.norm(layer)) is not None:
                came: list[Tensor] = []
                stack.enter_context(neurons_replaced(model, {layer: partial(_seen, came)}))
                stack.callback(norm.register_forward_hook(partial(_held, model, layer, came)).remove)
        yield


def _seen(came: list[Tensor], neurons: Tensor) -> Tensor:
    came[:] = [neurons]
    return neurons


def _held(
    model: Network, layer: int, came: Sequence[Tensor], _: nn.Module, args: tuple[Tensor, ...], out: Tensor
) -> Tensor:
    """Return a norm's output with what it read at the queries multiplied as it would have what came in."""
    query = now().query
    if query is None:
        raise ModelError("The model was called past the atlas, so its query position is unknown; call model.run.")
    row, token = query.nonzero(as_tuple=True)
    factor = held_norm(model, layer, model.written(layer, came[0][row, token]))
    result = out.clone()
    result[row, token] = args[0][row, token] * factor
    return result
