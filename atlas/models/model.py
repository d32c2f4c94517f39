"""A language model as the atlas sees it: blocks, neurons, prompts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import NewGELUActivation
from transformers.modeling_outputs import BaseModelOutput

from atlas.facts import Prompt
from atlas.ids import Neuron, stable_id
from atlas.models.families import TWO_STACKS, Family, Kind, family_of
from atlas.models.hooks import default_dtype, now, running
from atlas.models.names import stack_of
from atlas.models.offload import at_hand
from atlas.models.scaling import Scope, enhance, suppress
from atlas.models.tokens import SEPARATOR, Position, Step, filler_id, mark_id, padding_id, prompt_steps


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the atlas records of a model; `digest` is a hash of the weights, the same in every dtype of loading.

    Of an encoder-decoder whose encoder's neurons are meant it is another, and `name` ends with ENCODER.
    """

    name: str
    family: str
    kind: Kind
    layers: int
    neurons: int
    hidden: int
    vocabulary: int
    revision: str | None
    digest: str

    @property
    def id(self) -> int:
        """Content hash of the weights."""
        return stable_id("model", self.digest)

    def row(self) -> dict[str, Any]:
        """Return the columns of table `model`."""
        return {"model": self.id, **asdict(self)}


class LanguageModel:
    """A transformers model and its tokenizer, with the family's row that says where the neurons are.

    Weights need no gradient and the model is in evaluation mode. `kind`: `masked`, `causal`, `infilling` or `reading`.
    `two_way`: attention goes both ways, so the neurons at the query reach every token of later blocks, not only what
    follows. `reads`: the answer is not read at the query, but where a decoder ends that sees every token.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, info: ModelInfo, family: Family) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.info = info
        self.family = family
        self.kind: Kind = family.kind
        self.two_way = self.kind in ("masked", "reading")
        self.reads = self.kind == "reading"

    @classmethod
    def wrap(cls, model: Any, tokenizer: Any, name: str, revision: str | None = None) -> "LanguageModel":
        """Wrap a transformers `model` and fast `tokenizer`; ModelError for a family that is not supported.

        A `name` that ends with ENCODER asks for the encoder's neurons.
        """
        family = family_of(model.config, stack_of(name))
        down = model.get_submodule(family.blocks)[0].get_submodule(family.down_projection)
        info = ModelInfo(
            name=name,
            family=family.name,
            kind=family.kind,
            layers=len(model.get_submodule(family.blocks)),
            neurons=_width(down),
            hidden=int(model.config.hidden_size),
            vocabulary=int(model.get_output_embeddings().weight.shape[0]),
            revision=revision,
            digest=_digest(model, family),
        )
        return cls(model, tokenizer, info, family)

    @property
    def stack(self) -> str:
        """What ends the names of this kind of model, see `stack_of`."""
        return stack_of(self.info.name)

    def digest(self) -> str:
        """Return the digest of the weights as they are now; `info.digest` is that of when it was made."""
        return _digest(self.model, self.family)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(parameter.device for parameter in self.model.parameters() if not parameter.is_meta)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the weights."""
        return next(self.model.parameters()).dtype

    @cached_property
    def max_tokens(self) -> int:
        """The longest input, in tokens; none that changes how shorter ones beside it are read, see `_read_alike`."""
        config: Any = self.model.config
        positions = int(getattr(config, "max_position_embeddings", None) or 1 << 30)
        return min([positions - (config.pad_token_id + 1 if self.family.after_padding else 0), *_read_alike(config)])

    @cached_property
    def rows(self) -> int:
        """The tokens that the model can read and answer: the fewer of its two embeddings' rows."""
        read: int = self.model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
        return min(read, self.info.vocabulary)

    @cached_property
    def filler(self) -> int:
        """The token that stands for a word taken away (Eq. 3)."""
        return filler_id(self.tokenizer, self.kind)

    @cached_property
    def padding(self) -> int | None:
        """The token that fills up shorter sequences behind their end, which no other sees; see `padding_id`."""
        return padding_id(self.tokenizer, self.kind)

    @cached_property
    def mark(self) -> int:
        """The token that stands in the object's place: a mask or T5's first sentinel; -1 for a tokenizer without."""
        found = mark_id(self.tokenizer, self.kind)
        return -1 if found is None else found

    @cached_property
    def blocks(self) -> Sequence[nn.Module]:
        """The model's blocks, first layer first."""
        return list(self.model.get_submodule(self.family.blocks).children())

    @cached_property
    def head(self) -> nn.Module:
        """The module that multiplies with the output matrix."""
        head: nn.Module = self.model.get_output_embeddings()  # type: ignore[operator]
        return head

    def down_projection(self, layer: int) -> nn.Module:
        """Return the module whose input holds the neurons of `layer`."""
        return self._downs[layer]

    @cached_property
    def projections(self) -> Sequence[Sequence[nn.Module]]:
        """The modules that make the queries, keys and values of each layer, where the family names them."""
        return [[block.get_submodule(path) for path in self.family.projections] for block in self.blocks]

    def value_vectors(self, layer: int) -> Tensor:
        """Return what each neuron of `layer` writes: the down-projection's columns, `[neuron, hidden]`."""
        down = self._downs[layer]
        weight: Tensor = down.weight  # type: ignore[assignment]
        return weight.T if isinstance(down, nn.Linear) else weight

    def written(self, layer: int, neurons: Tensor) -> Tensor:
        """Return what `neurons` `[..., neuron]` of `layer` write, the down-projection's output `[..., hidden]`."""
        # Not a call of the module, whose hooks may be at work on other neurons.
        written: Tensor = self._downs[layer].forward(neurons)
        return written

    def norm(self, layer: int) -> nn.Module | None:
        """Return the norm behind the down-projection of `layer`, None where there is none."""
        return self.blocks[layer].get_submodule(self.family.norm) if self.family.norm else None

    def pulled_back(self, layer: int, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to neurons `[..., neuron]` for one to what they write, `[..., hidden]`."""
        vectors = self.value_vectors(layer)
        if not vectors.is_meta:
            return gradient @ vectors.T
        with at_hand(self._downs[layer]):
            return gradient @ self.value_vectors(layer).T.to(gradient.device)

    def steps(self, prompt: Prompt, at: Position = "query") -> list[Step]:
        """Return the teacher-forced steps of a prompt, neurons `at` a position; see `prompt_steps` for errors."""
        return prompt_steps(self.tokenizer, self.kind, prompt, self.max_tokens, self.rows, at)

    def run(self, ids: Tensor) -> Tensor:
        """Return the logits `[batch, token, vocabulary]` of `ids` `[batch, token]`, all of one shape.

        In a masked model no token sees the `padding` behind the end of a sequence.
        Of an encoder and a decoder they are the decoder's; `at_answer` picks the row that gives the answer. Unless the
        caller said where the query is, interventions take it to be at the masks of a masked model, at the mark that
        an encoder reads and at the last token of others.
        """
        place = nullcontext() if now().query is not None else running(self._open_places(ids))
        with place, default_dtype(self.dtype) if self.family.constants else nullcontext():
            logits: Tensor = self.model(**self._inputs(ids)).logits
        return logits

    def width(self, ids: Tensor) -> int:
        """Return how many of `ids` `[batch, token]` the blocks read: all, or those of the stack with the neurons."""
        if self.kind not in TWO_STACKS or not (found := ids[0].eq(SEPARATOR).nonzero().flatten().tolist()):
            return ids.shape[1]
        return int(found[0])

    def at_answer(self, values: Tensor, query: Tensor | int) -> Tensor:
        """Return `values` `[batch, token, ...]` of the model's output where the answer to `query` is read."""
        if self.reads:
            return values[:, -1]
        return values[torch.arange(len(values), device=values.device), query]

    def _inputs(self, ids: Tensor) -> dict[str, Any]:
        """Return the model's arguments for `ids`; a decoder whose blocks do not run gets an empty encoder's output."""
        if self.kind not in TWO_STACKS:
            cache = {"use_cache": False} if self.kind == "causal" else {}
            mask = torch.ones_like(ids)
            if self.padding is not None:  # 0 behind the end of a sequence
                mask = (ids != self.padding).long().flip(1).cummax(1).values.flip(1)
            return {"input_ids": ids, "attention_mask": mask, **cache}
        width = self.width(ids)
        written, read = ids[:, :width], ids[:, width + 1 :]
        if self.kind == "reading":
            written, read = read, written
        if not read.shape[1]:
            nothing = torch.zeros(len(ids), 1, self.info.hidden, dtype=self.dtype, device=ids.device)
            return {"encoder_outputs": BaseModelOutput(nothing), "decoder_input_ids": ids, "use_cache": False}
        mask = torch.ones_like(read)
        return {"input_ids": read, "attention_mask": mask, "decoder_input_ids": written, "use_cache": False}

    def suppress(
        self, neurons: Iterable[Neuron], scope: Scope = "query", replace: Tensor | Literal["zero"] = "zero"
    ) -> AbstractContextManager["LanguageModel"]:
        """Set `neurons` (layer, neuron) to zero, or to what `replace` `[layer, neuron]` holds, inside the block.

        See `atlas.models.scaling.suppress`.
        """
        return suppress(self, neurons, scope, replace)

    def enhance(self, neurons: Iterable[Neuron], scope: Scope = "query") -> AbstractContextManager["LanguageModel"]:
        """Double `neurons` (layer, neuron) inside the block; see `atlas.models.scaling.enhance`."""
        return enhance(self, neurons, scope)

    def _open_places(self, ids: Tensor) -> Tensor:
        """Return True at the masks (masked), marks (reading) or at the last token (other kinds), `[batch, token]`."""
        width = self.width(ids)
        if self.two_way:
            return ids[:, :width].eq(self.mark)
        return (torch.arange(width, device=ids.device) == width - 1).expand(len(ids), -1)

    @cached_property
    def attention_configs(self) -> list[Any]:
        """The configurations that the model's modules read how to attend from, each once."""
        found = (getattr(module, "config", None) for module in self.model.modules())
        return list({id(config): config for config in found if hasattr(config, "_attn_implementation")}.values())

    @cached_property
    def stand_ins(self) -> dict[nn.Module, Callable[..., Any]]:
        """What stands in for attention that does not go through the interface, and for activations in many steps."""
        gelu, own = partial(functional.gelu, approximate="tanh"), self.family.own_attention
        attention = [] if own is None else [block.get_submodule(own.path) for block in self.blocks]
        found = {module: partial(own.forward, module) for module in attention if own}
        return found | {module: gelu for module in self.model.modules() if isinstance(module, NewGELUActivation)}

    @cached_property
    def _downs(self) -> list[nn.Module]:
        return [block.get_submodule(self.family.down_projection) for block in self.blocks]


def weights_digest(model: nn.Module) -> str:
    """Return a hash of the named parameters, as float32 values, in hexadecimal."""
    digest = blake2b(digest_size=16)
    for name in sorted(dict(model.named_parameters())):
        owner, _, own = name.rpartition(".")
        with at_hand(module := model.get_submodule(owner)):
            parameter = getattr(module, own)
            digest.update(f"{name}{tuple(parameter.shape)}".encode())
            for row in parameter.detach().reshape(-1).split(1 << 24):
                digest.update(row.float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _digest(model: nn.Module, family: Family) -> str:
    """Return the digest of the weights, with a bias of the logits that is not zero and an encoder's stack, if any."""
    weights, more = weights_digest(model), stack_of(family.name).encode()
    if family.logit_bias and (bias := model.get_buffer(family.logit_bias)).any():
        more += bias.float().cpu().numpy().tobytes()
    return blake2b(weights.encode() + more, digest_size=16).hexdigest() if more else weights


def _width(down: nn.Module) -> int:
    """Return the number of neurons: a Linear keeps `[out, in]`, GPT-2's Conv1D `[in, out]`."""
    weight: Tensor = down.weight  # type: ignore[assignment]
    return int(weight.shape[1] if isinstance(down, nn.Linear) else weight.shape[0])


def _read_alike(config: Any) -> list[int]:
    """Return the lengths above which rotary frequencies are others, for all that runs together (`longrope`)."""
    named: dict[str, Any] = getattr(config, "rope_parameters", None) or {}  # of all layers, or of each type of them
    each = [named, *(own for own in named.values() if isinstance(own, dict))]
    return [int(own["original_max_position_embeddings"]) for own in each if own.get("rope_type") == "longrope"]
