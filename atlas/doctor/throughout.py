"""float64 throughout: no rounding of parts of the work to float32, so that equality can be asked to 1e-10."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from atlas.models import LanguageModel

_SOFTMAX = {functional.softmax, torch.softmax, Tensor.softmax}
_CASTING = {Tensor.float, Tensor.to, *_SOFTMAX}


def unrounded(model: LanguageModel) -> AbstractContextManager[Any]:
    """Return a context in which a float64 model casts nothing to float32; one without effect for other models."""
    return _Unrounded() if model.dtype == torch.float64 else nullcontext()


class _Unrounded(TorchFunctionMode):
    """Drops casts of float64 tensors to float32: norms, softmax and attention products of many families have them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` without its cast, if it has one."""
        named = dict(kwargs or {})
        if func in _CASTING and args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            args = tuple(value for value in args if value is not torch.float32)
            named = {name: value for name, value in named.items() if value is not torch.float32}
            if func not in _SOFTMAX and len(args) == 1 and not named:
                return args[0]
        return func(*args, **named)
