"""What of a model that runs can only be reached from outside: its neurons, its attention, and whole modules.

The code of a model's own takes no arguments of ours, so while it runs three things are put around it, each by a context
manager that undoes it on exit, exception or not:

- `neurons_replaced` and `pre_hook`: hooks that read or replace what a module receives.
- `forwards`: another function in the place of a module's `forward`.
- `attending` and `running`: every attention layer computes its queries, keys and values as usual and hands them to a
  *rule*, which decides what is attended to. That makes one mechanism serve recording, single query positions and
  cached prefixes in every family that uses the attention interface of transformers, where one function is registered.

What the hooks must know of the run they are in, the rule and the query positions, is what `running` says, and nothing
else is passed beside arguments and return values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

NAME = "atlas"

Replacement = Callable[[Tensor], Tensor]


class Network(Protocol):
    """What hooks ask of a model: a `LanguageModel`."""

    @property
    def info(self) -> Any:
        """Its name and sizes."""

    @property
    def family(self) -> Any:
        """The row that says where its neurons are."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its blocks, first layer first."""

    def down_projection(self, layer: int) -> nn.Module:
        """Return the module whose input holds the neurons of `layer`."""

    def written(self, layer: int, neurons: Tensor) -> Tensor:
        """Return what `neurons` of `layer` write."""

    def norm(self, layer: int) -> nn.Module | None:
        """Return the norm behind the down-projection of `layer`, None where there is none."""

    @property
    def attention_configs(self) -> Sequence[Any]:
        """The configurations that its modules read how to attend from."""

    @property
    def stand_ins(self) -> Mapping[nn.Module, Callable[..., Any]]:
        """What stands in for modules while attention follows a rule."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an attention layer asks for: `[batch, head, token, size]` tensors and an additive mask or None.

    `cross`: a decoder's attention to its encoder.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    softcap: float | None
    cross: bool = False

    def attend(self, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        """Return softmax(query key^T) value, `[batch, head, token, size]`, over other keys and values than its own.

        Without arguments it is the plain rule: attend to the sequence's own.
        """
        key, value = self.key if key is None else key, self.value if value is None else value
        batch, heads, tokens, _ = self.query.shape
        rows = heads // key.shape[1] * tokens  # of heads that share keys, below each other
        query = (self.query * self.scaling).reshape(batch, key.shape[1], rows, key.shape[3])
        logits = torch.matmul(query, key.transpose(2, 3))
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        logits = logits.view(batch, heads, tokens, key.shape[2])
        if self.mask is not None:
            logits = logits + self.mask
        shares = torch.softmax(logits, dim=-1).to(value.dtype).view(batch, key.shape[1], rows, key.shape[2])
        return torch.matmul(shares, value).view(batch, heads, tokens, value.shape[3])


Rule = Callable[[Call], Tensor]


@dataclass(frozen=True, slots=True)
class Run:
    """What is run now: the rule of its attention, and True at its query positions, `[batch, token]`, if known.

    `rows` [batch] says which row of a change of neurons each sequence follows; None: its own. `changed`: neurons are
    changed, so that sequences of the same tokens may differ.
    """

    rule: Rule = Call.attend
    query: Tensor | None = None
    rows: Tensor | None = None
    changed: bool = False


_PLAIN = Run()
_run: ContextVar[Run] = ContextVar("run", default=_PLAIN)


now = _run.get
"""Returns what is run now."""


@contextmanager
def running(
    query: Tensor | None = None, rule: Rule | None = None, rows: Tensor | None = None, *, changed: bool = False
) -> Iterator[None]:
    """Say inside the block where the queries of what runs are, which rule its attention follows, which rows of a change
    of neurons its sequences do, and that there is such a change; None or False: as before.
    """
    outer = _run.get()
    query, rows = outer.query if query is None else query, outer.rows if rows is None else rows
    token = _run.set(Run(rule or outer.rule, query, rows, outer.changed or changed))
    try:
        yield
    finally:
        _run.reset(token)


@contextmanager
def attending(model: Network, rule: Rule = Call.attend) -> Iterator[None]:
    """Let every attention layer of `model` follow a rule inside the block: `rule`, or what `running` says there."""
    configs = model.attention_configs
    before = [config._attn_implementation for config in configs]
    try:
        for config in configs:
            config._attn_implementation = NAME
        with forwards(model.stand_ins), running(rule=rule):
            yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name


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


def given(known: Any, *_: Any, **__: Any) -> Any:
    """Stand in for a module, or follow a rule, whose result is `known`: give that, whatever is asked."""
    return known


@contextmanager
def neurons_replaced(model: Network, replacements: Mapping[int, Replacement]) -> Iterator[None]:
    """Pass the neurons of layers through their `replacements`: each maps `[batch, token, neuron]` to the same shape."""
    with ExitStack() as stack:
        for layer, replace in replacements.items():
            if model.family.flat:
                shape: list[int] = []
                note = partial(_passed, partial(_noted, shape))
                stack.callback(model.blocks[layer].register_forward_pre_hook(note).remove)
                replace = partial(_unfolded, shape, replace)
            down = model.down_projection(layer)
            stack.callback(down.register_forward_pre_hook(partial(_passed, replace)).remove)
        yield


@contextmanager
def neurons_kept(model: Network, at: Tensor, rows: Tensor | None = None) -> Iterator[list[Tensor]]:
    """Keep the neurons `at` `[batch]` of what runs inside the block, `[batch, neuron]` for each layer in turn.

    Of the sequences `rows` [batch], if not of each in turn.
    """
    seen: list[Tensor] = []
    rows = torch.arange(len(at), device=at.device) if rows is None else rows

    def keep(neurons: Tensor) -> Tensor:
        seen.append(neurons[rows, at])
        return neurons

    with neurons_replaced(model, dict.fromkeys(range(model.info.layers), keep)):
        yield seen


@contextmanager
def pre_hook(module: nn.Module, replace: Replacement) -> Iterator[None]:
    """Pass the first argument of `module` through `replace` inside the block; removed on exit."""

    handle = module.register_forward_pre_hook(partial(_passed, replace))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let torch make tensors of `dtype` inside the block where nothing else is said."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _passed(replace: Replacement, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (replace(args[0]), *args[1:])


def _noted(shape: list[int], hidden: Tensor) -> Tensor:
    shape[:] = hidden.shape[:2]
    return hidden


def _unfolded(shape: list[int], replace: Replacement, neurons: Tensor) -> Tensor:
    """Replace the neurons of a network that sees `[batch * token, hidden]`."""
    return replace(neurons.unflatten(0, shape)).flatten(0, 1)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if position_bias is not None:
        attention_mask = position_bias if attention_mask is None else attention_mask + position_bias
    cross = getattr(module, "is_decoder", False) and not getattr(module, "is_causal", True)
    call = Call(query, key, value, attention_mask, scale, softcap, cross)
    return now().rule(call).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, eager_mask)
