"""One hook: read or replace the neurons of some layers while the model runs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from atlas.models.model import LanguageModel

Edit = Callable[[Tensor], Tensor]


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
def neurons_edited(model: "LanguageModel", edits: Mapping[int, Edit]) -> Iterator[None]:
    """Replace the neurons of the layers in `edits`: each edit maps `[batch, token, neuron]` to the same shape."""
    with ExitStack() as stack:
        for layer, edit in edits.items():
            stack.enter_context(pre_hook(model.down_projection(layer), edit))
        yield
