"""One hook: read or replace the neurons of some layers while the model runs, and where the query is."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from atlas.models.model import LanguageModel

Edit = Callable[[Tensor], Tensor]

_query_mask: ContextVar[Tensor | None] = ContextVar("query_mask", default=None)


def query_mask() -> Tensor | None:
    """Return True at the query positions of the sequences that run now, `[batch, token]`; None if nobody said."""
    return _query_mask.get()


@contextmanager
def querying(mask: Tensor) -> Iterator[None]:
    """Say inside the block that the query positions of what runs are where `mask` `[batch, token]` is True."""
    token = _query_mask.set(mask)
    try:
        yield
    finally:
        _query_mask.reset(token)


@contextmanager
def pre_hook(module: nn.Module, edit: Edit) -> Iterator[None]:
    """Pass the first argument of `module` through `edit` inside the block; removed on exit."""

    def hook(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (edit(args[0]), *args[1:])

    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def neuron_hook(model: "LanguageModel", layer: int, edit: Edit) -> Iterator[None]:
    """Pass the neurons of `layer`, `[batch, token, neuron]`, through `edit` inside the block; removed on exit."""
    if not model.family.flat:
        with pre_hook(model.down_projection(layer), edit):
            yield
        return
    shape: list[int] = []

    def note(hidden: Tensor) -> Tensor:
        shape[:] = hidden.shape[:2]
        return hidden

    def unfolded(neurons: Tensor) -> Tensor:
        return edit(neurons.unflatten(0, shape)).flatten(0, 1)

    with pre_hook(model.blocks()[layer], note), pre_hook(model.down_projection(layer), unfolded):
        yield


@contextmanager
def forwards(replaced: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Replace the `forward` of modules inside the block."""
    before = {module: vars(module).get("forward") for module in replaced}
    for module, forward in replaced.items():
        module.forward = forward
    try:
        yield
    finally:
        for module, own in before.items():
            if own is None:
                del module.forward
            else:
                module.forward = own


@contextmanager
def neurons_edited(model: "LanguageModel", edits: Mapping[int, Edit]) -> Iterator[None]:
    """Replace the neurons of the layers in `edits`: each edit maps `[batch, token, neuron]` to the same shape."""
    with ExitStack() as stack:
        for layer, edit in edits.items():
            stack.enter_context(neuron_hook(model, layer, edit))
        yield
