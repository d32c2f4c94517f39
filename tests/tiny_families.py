"""A tiny random model of every family, made in memory from its configuration class."""

import torch
import transformers
from tiny import make_bart_tokenizer, make_bert_tokenizer, make_gpt2_tokenizer, make_t5_tokenizer

from atlas.models import FAMILIES, LanguageModel
from atlas.models.names import ENCODER

HIDDEN, NEURONS, LAYERS, HEADS = 16, 24, 3, 4
COMMON = {
    "hidden_size": HIDDEN, "intermediate_size": NEURONS, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "max_position_embeddings": 64, "initializer_range": 0.4,
}  # fmt: skip
LLAMA = {**COMMON, "num_key_value_heads": 2, "head_dim": 4, "rms_norm_eps": 1e-6}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}

T5 = {
    "d_model": HIDDEN,
    "d_kv": 4,
    "d_ff": NEURONS,
    "num_layers": 2,
    "num_decoder_layers": LAYERS,
    "num_heads": HEADS,
    "decoder_start_token_id": 0,
    "relative_attention_num_buckets": 6,
    "relative_attention_max_distance": 8,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
}
BART = {
    "d_model": HIDDEN,
    "encoder_layers": 2,
    "decoder_layers": LAYERS,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": NEURONS,
    "init_std": 0.4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "decoder_start_token_id": 2,
}
TOKENIZERS = {
    "masked": make_bert_tokenizer,
    "causal": make_gpt2_tokenizer,
    "t5": make_t5_tokenizer,
    "mt5": make_t5_tokenizer,
    "bart": make_bart_tokenizer,
    "mbart": make_bart_tokenizer,
}
SUFFIXES = {"masked": "ForMaskedLM", "causal": "ForCausalLM", "infilling": "ForConditionalGeneration"}

SHAPES = {
    "bert": ("Bert", COMMON),
    "roberta": ("Roberta", COMMON),
    "xlm-roberta": ("XLMRoberta", COMMON),
    "camembert": ("Camembert", COMMON),
    "distilbert": (
        "DistilBert",
        {"dim": HIDDEN, "hidden_dim": NEURONS, "n_layers": LAYERS, "n_heads": HEADS, "initializer_range": 0.4},
    ),
    "electra": ("Electra", {**COMMON, "embedding_size": 12}),
    "modernbert": ("ModernBert", {**COMMON, "local_attention": 8, "global_attn_every_n_layers": 2}),
    "gpt2": ("GPT2", {"n_embd": HIDDEN, "n_inner": NEURONS, "n_layer": LAYERS, "n_head": HEADS}),
    "gpt_neo": (
        "GPTNeo",
        {
            "hidden_size": HIDDEN, "intermediate_size": NEURONS, "num_layers": 4, "num_heads": HEADS, "window_size": 4,
            "attention_types": [[["global", "local"], 2]], "initializer_range": 0.4,
        },
    ),
    "gpt_neox": ("GPTNeoX", {**COMMON, "rotary_pct": 0.5}),
    "bloom": ("Bloom", {"hidden_size": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "initializer_range": 0.4}),
    "falcon": ("Falcon", {**COMMON, "ffn_hidden_size": NEURONS}),
    "opt": (
        "OPT",
        {
            "hidden_size": HIDDEN, "ffn_dim": NEURONS, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "max_position_embeddings": 64, "init_std": 0.4, "word_embed_proj_dim": HIDDEN,
        },
    ),
    "xglm": (
        "XGLM",
        {"d_model": HIDDEN, "ffn_dim": NEURONS, "num_layers": LAYERS, "attention_heads": HEADS, "init_std": 0.4},
    ),
    "llama": ("Llama", LLAMA),
    "mistral": ("Mistral", {**LLAMA, "sliding_window": 4}),
    "qwen2": ("Qwen2", LLAMA),
    "qwen3": ("Qwen3", LLAMA),
    "gemma": ("Gemma", LLAMA),
    "gemma2": ("Gemma2", {**LLAMA, "sliding_window": 4, "final_logit_softcapping": 5.0, "attn_logit_softcapping": 3.0}),
    "gemma3_text": ("Gemma3", {**LLAMA, "sliding_window": 4, "sliding_window_pattern": 2}),
    "phi3": ("Phi3", {**LLAMA, "sliding_window": 4}),
    "olmo2": ("Olmo2", LLAMA),
    "t5": ("T5", T5),
    "mt5": ("MT5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "bart": ("Bart", BART),
    "mbart": ("MBart", BART),
}  # fmt: skip
"""What differs in the configuration of each family."""

VARIANTS = {
    "falcon, alibi": ("falcon", {"alibi": True, "multi_query": False, "parallel_attn": False}),
    "falcon, new": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "opt, norm after": ("opt", {"do_layer_norm_before": False, "word_embed_proj_dim": 12}),
    "gpt_neox, in sequence": ("gpt_neox", {"use_parallel_residual": False}),
    "bloom, norm first": ("bloom", {"apply_residual_connection_post_layernorm": True}),
}
"""Families whose blocks come in more than one kind."""

ENCODERS = [name + ENCODER for name in ("t5", "mt5", "bart", "mbart")]
"""The rows of encoders, which have their decoders' configurations."""

EVERY = [*SHAPES, *VARIANTS, *ENCODERS]
CAUSAL = [name for name in [*SHAPES, *VARIANTS] if FAMILIES[VARIANTS.get(name, (name,))[0]].kind == "causal"]


def make_tiny(name: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> LanguageModel:
    """Return a tiny random model of a family, or of one of the variants."""
    family, more = VARIANTS.get(name, (name.removesuffix(ENCODER), {}))
    stem, shape = SHAPES[family]
    kind = FAMILIES[family].kind
    tokenizer = TOKENIZERS.get(family, TOKENIZERS.get(kind))()
    stem_config = "Gemma3Text" if stem == "Gemma3" else stem
    config = getattr(transformers, f"{stem_config}Config")(vocab_size=len(tokenizer), **{**SPECIAL, **shape, **more})
    suffix = "LMHeadModel" if stem == "GPT2" else SUFFIXES[kind]
    torch.manual_seed(seed)
    model = getattr(transformers, stem + suffix)(config)
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases start at 1 and 0, where mistakes hide
            parameter.add_(0.1 * torch.randn_like(parameter))
        if FAMILIES[family].logit_bias:
            bias = model.get_buffer(FAMILIES[family].logit_bias)
            bias.copy_(torch.randn_like(bias))
    wrapped = LanguageModel.wrap(model, tokenizer, f"tiny-{name}")
    wrapped.model.to(dtype)
    return wrapped
