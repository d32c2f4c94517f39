"""Which model families the atlas knows, and where each keeps its neurons (METHOD 1).

A neuron `(layer, neuron)` is one coordinate of the input of a block's feed-forward down-projection: after the
non-linearity, and after gating where there is a gate. A family is one row of `FAMILIES`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from atlas.errors import ModelError, UsageError
from atlas.ids import Neuron, Package
from atlas.matching import option
from atlas.models.names import ENCODER
from atlas.models.own_attention import OwnAttention, bloom, falcon, gpt_neo, gpt_neo_window, xglm

Kind = Literal["masked", "causal", "infilling", "reading"]
"""Where the answer is asked: at masks in the text, after it, or in a decoder whose encoder reads the open text. The
neurons are where the answer is asked, but for `reading`: an encoder's, at the mark, of the answer its decoder gives.
"""
TWO_STACKS: tuple[Kind, ...] = ("infilling", "reading")
"""An encoder and a decoder."""
GUIDE = "docs/adding-a-model.md"


@dataclass(frozen=True, slots=True)
class Family:
    """Where one family keeps its blocks and, within a block, its down-projection (module paths), and its quirks.

    `name` is the `model_type` of a transformers configuration, with ENCODER behind it for an encoder's row.
    `projections`: in a masked model or an encoder, the modules that make an attention's queries, keys and values, token
    by token, in this order, or the one that makes all. `gated`: the neuron is a product of two projections.
    `own_attention`: attention that does not go through transformers' interface. `in_tuple`: a block returns its
    hidden states in a tuple. `flat`: the feed-forward network sees `[batch * token, hidden]`. `after_padding`:
    positions begin behind the padding token's number, so that as many rows of their table, and one, are no token's.
    `norm`: a norm by root mean square, alone behind the down-projection, whose output is added to the residual stream.
    `constants`: some are made in torch's default number type. `arguments`: completes what a block was called with
    `(block, arguments, hidden)`. `logit_bias`: a buffer added after the output matrix.
    """

    name: str
    kind: Kind
    blocks: str
    down_projection: str
    projections: tuple[str, ...] = ()
    gated: bool = False
    own_attention: OwnAttention | None = None
    in_tuple: bool = False
    flat: bool = False
    after_padding: bool = False
    norm: str = ""
    constants: bool = False
    arguments: Callable[[nn.Module, dict[str, Any], Tensor], dict[str, Any]] | None = None
    logit_bias: str = ""

    @property
    def quirks(self) -> str:
        """The quirks in words."""
        found = {
            "attention of its own": self.own_attention,
            "blocks return a tuple": self.in_tuple,
            "feed-forward network without a batch axis": self.flat,
            "positions begin behind the padding token": self.after_padding,
            "norm behind the down-projection": self.norm,
            "constants of the default number type": self.constants,
            "blocks complete their arguments": self.arguments,
            "bias after the output matrix": self.logit_bias,
        }
        return ", ".join(words for words, there in found.items() if there)


def _llama(name: str, norm: str = "") -> Family:
    """Return the row of a family that is built like Llama."""
    return Family(name, "causal", "model.layers", "mlp.down_proj", gated=True, norm=norm)


def _t5_bias(block: Any, arguments: dict[str, Any], hidden: Tensor) -> dict[str, Any]:
    """Add the bias by distance, which T5's first block computes from the length of what it is called with."""
    if arguments["position_bias"] is not None:
        return arguments
    tokens = hidden.shape[1]
    return {**arguments, "position_bias": block.layer[0].SelfAttention.compute_bias(tokens, tokens)}


def _gpt_neo_mask(block: Any, arguments: dict[str, Any], _: Tensor) -> dict[str, Any]:
    """Put the window of a local layer into the mask."""
    return {**arguments, "attention_mask": gpt_neo_window(block.attn.attention, arguments["attention_mask"])}


def _alibi(_: nn.Module, arguments: dict[str, Any], hidden: Tensor) -> dict[str, Any]:
    """Give a bias by distance that folds batch and heads into one axis, `[batch * head, 1, token]`, two for them."""
    alibi = arguments.get("alibi")
    return arguments if alibi is None else {**arguments, "alibi": alibi.unflatten(0, (len(hidden), -1))}


def _t5(name: str) -> tuple[Family, Family]:
    """Return the rows of a family that is built like T5: its decoder's and its encoder's."""
    down = "layer.2.DenseReluDense.wo"
    own = Family(name, "infilling", "decoder.block", down, gated=True, in_tuple=True, arguments=_t5_bias)
    projections = ("layer.0.SelfAttention.q", "layer.0.SelfAttention.k", "layer.0.SelfAttention.v")
    return own, _encoder(own, "encoder.block", "layer.1.DenseReluDense.wo", projections)


def _bart(name: str) -> tuple[Family, Family]:
    """Return the rows of a family that is built like BART: its decoder's and its encoder's."""
    own = Family(name, "infilling", "model.decoder.layers", "fc2", logit_bias="final_logits_bias")
    projections = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    return own, _encoder(own, "model.encoder.layers", "fc2", projections)


def _encoder(decoder: Family, blocks: str, down_projection: str, projections: tuple[str, ...]) -> Family:
    """Return the row of a decoder's encoder, whose blocks are of the same make."""
    return replace(
        decoder, name=decoder.name + ENCODER, kind="reading",
        blocks=blocks, down_projection=down_projection, projections=projections,
    )  # fmt: skip


_BERT = ("attention.self.query", "attention.self.key", "attention.self.value")

FAMILIES = {
    row.name: row
    for row in (
        Family("bert", "masked", "bert.encoder.layer", "output.dense", _BERT),
        Family("roberta", "masked", "roberta.encoder.layer", "output.dense", _BERT, after_padding=True),
        Family("xlm-roberta", "masked", "roberta.encoder.layer", "output.dense", _BERT, after_padding=True),
        Family("camembert", "masked", "roberta.encoder.layer", "output.dense", _BERT, after_padding=True),
        Family(
            "distilbert", "masked", "distilbert.transformer.layer", "ffn.lin2",
            ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        ),
        Family("electra", "masked", "electra.encoder.layer", "output.dense", _BERT),
        Family("modernbert", "masked", "model.layers", "mlp.Wo", ("attn.Wqkv",), gated=True),
        Family("gpt2", "causal", "transformer.h", "mlp.c_proj"),
        Family(
            "gpt_neo", "causal", "transformer.h", "mlp.c_proj",
            own_attention=OwnAttention("attn.attention", gpt_neo), in_tuple=True, arguments=_gpt_neo_mask,
        ),
        Family("gpt_neox", "causal", "gpt_neox.layers", "mlp.dense_4h_to_h"),
        Family(
            "bloom", "causal", "transformer.h", "mlp.dense_4h_to_h",
            own_attention=OwnAttention("self_attention", bloom), in_tuple=True, arguments=_alibi,
        ),
        Family(
            "falcon", "causal", "transformer.h", "mlp.dense_4h_to_h",
            own_attention=OwnAttention("self_attention", falcon), in_tuple=True, arguments=_alibi,
        ),
        Family("opt", "causal", "model.decoder.layers", "fc2", flat=True),
        Family(
            "xglm", "causal", "model.layers", "fc2",
            own_attention=OwnAttention("self_attn", xglm), constants=True,
        ),
        _llama("llama"),
        _llama("mistral"),
        _llama("qwen2"),
        _llama("qwen3"),
        _llama("gemma"),
        _llama("gemma2", norm="post_feedforward_layernorm"),
        _llama("gemma3_text", norm="post_feedforward_layernorm"),
        _llama("phi3"),
        _llama("olmo2", norm="post_feedforward_layernorm"),
        *_t5("t5"),
        *_t5("mt5"),
        *_bart("bart"),
        *_bart("mbart"),
    )
}  # fmt: skip


def family_of(config: Any, stack: str = "") -> Family:
    """Return the row of a transformers `config`, of its `stack` ENCODER if asked.

    Raises ModelError with the reason if the atlas cannot use such a model.
    """
    _refuse_experts(config)
    _refuse_quantised(config)
    row = FAMILIES.get(config.model_type)
    if row is not None and stack:
        row = FAMILIES.get(config.model_type + stack)
        if row is None:
            raise ModelError(
                f"Model type {config.model_type!r} has no encoder beside a decoder; leave {stack!r} out of the name."
            )
    if row is None:
        known = ", ".join(sorted(name for name in FAMILIES if not name.endswith(ENCODER)))
        raise ModelError(
            f"Model type {config.model_type!r} is not supported; the supported families are {known}. {GUIDE} says how "
            f"to add one."
        )
    _refuse_other_ways(config, row)
    return row


def _refuse_experts(config: Any) -> None:
    """Raise ModelError for a mixture of experts."""
    for name in ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "expert_capacity"):
        if getattr(config, name, None):
            raise ModelError(
                f"Model type {config.model_type!r} is a mixture of experts ({name} {getattr(config, name)}): each "
                f"token takes other experts, so that a neuron has no value at most positions and no path to integrate "
                f"along; use a dense model."
            )


def _refuse_quantised(config: Any) -> None:
    """Raise ModelError for a quantised checkpoint."""
    settings = getattr(config, "quantization_config", None)
    if settings:
        method = settings.get("quant_method") if isinstance(settings, dict) else settings.quant_method
        raise ModelError(
            f"The checkpoint is quantised ({getattr(method, 'value', method)}): gradients through rounded weights are "
            f"not exact and their value vectors cannot be edited; use the checkpoint that it was made from."
        )


def _refuse_other_ways(config: Any, row: Family) -> None:
    """Raise ModelError for a model whose attention goes other ways than its family's."""
    both = getattr(config, "is_causal", True) is False or getattr(config, "use_bidirectional_attention", False)
    if row.kind == "causal" and both:
        raise ModelError(
            f"Model type {row.name!r} is supported where attention goes back alone, and that of this model goes both "
            f"ways (is_causal, use_bidirectional_attention): it writes no next token; use a model that does."
        )
    if row.kind == "masked" and getattr(config, "is_decoder", False):
        raise ModelError(
            f"Model type {row.name!r} is supported where attention goes both ways, and this model is a decoder "
            f"(is_decoder): it fills no masks; use a model that does."
        )


_STACKS = {"infilling": "decoder_blocks", "reading": "encoder_blocks"}
_NOT_IN_LENS = ("xlm-roberta", "camembert", "distilbert", "electra", "modernbert")
_IN_PYVENE = ("gpt2", "gpt_neo", "gpt_neox", "llama", "mistral", "qwen2", "gemma", "gemma2")
Layers = Mapping[int, Sequence[int]]


def hooks(package: str, family: str, neurons: Iterable[Neuron]) -> dict[str, Any]:
    """Return what tells `package`, a Package, where `neurons` of a model of `family` are, as JSON values.

    TransformerLens 4: `hooks`, a hook's name to the neurons in its last axis. pyvene 0.1.8: `representations` for an
    IntervenableConfig, and `subspaces`, the neurons of each. Both name the down-projection's input; pyvene's own
    `mlp_activation` is, in a gated network, what stands before the product. Raises UsageError for another package,
    and for a family whose models the package does not take.
    """
    package, row = option("--hooks", package, tuple(Package)), FAMILIES[family]
    layers: dict[int, list[int]] = defaultdict(list)
    for layer, neuron in sorted(set(neurons)):
        layers[layer].append(neuron)
    return _transformer_lens(row, layers) if package == Package.transformer_lens else _pyvene(row, layers)


def _transformer_lens(family: Family, layers: Layers) -> dict[str, Any]:
    if family.name in _NOT_IN_LENS:
        raise UsageError(f"TransformerLens takes no models of family {family.name!r}; no hook of its can be named.")
    stack = _STACKS.get(family.kind, "blocks")
    return {"hooks": {f"{stack}.{layer}.mlp.hook_post": own for layer, own in layers.items()}}


def _pyvene(family: Family, layers: Layers) -> dict[str, Any]:
    if family.name not in _IN_PYVENE:
        raise UsageError(
            f"pyvene takes no models of family {family.name!r}, only {', '.join(_IN_PYVENE)}; "
            f"--hooks {Package.transformer_lens} may name them."
        )
    path = f"{family.blocks}[{{}}].{family.down_projection}.input"
    named = [{"layer": layer, "component": path.format(layer), "unit": "pos", "max_number_of_units": 1}
             for layer in layers]  # fmt: skip
    return {"representations": named, "subspaces": list(layers.values())}
