"""The settings of a tokenizer, changed: nothing put before a text, and a mark for what there is no token for."""

import json
from hashlib import blake2b
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from atlas.errors import lacks_memory

_SPECIAL = ("mask", "pad", "bos", "eos", "cls", "sep", "unk")
_SAMPLES = (
    "The capital of France is PARIS, or naïve 'co-op's", " (1,234.5%) — x\u00a0y  z\ttab\nline.",
    "e\u0301 Straße Łódź İzmir", "Ελλάδα Москва", "العَرَبِيّة עברית", "हिन्दी বাংলা", "ไทย 한국어",
    "日本のカタカナ 法国的首都。", "ﬁ Ⅳ ²\u200b", "🙂",
)  # fmt: skip
"""Cases, accents, digits, spaces and scripts in which tokenizers of one vocabulary differ."""


def tokenizer_digest(tokenizer: Any) -> str:
    """Return a hash of what decides which tokens a text has: the vocabulary, the special tokens, and a text's tokens.

    It is of what the tokenizer does, as how its library writes it down changes from version to version.
    """
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    special = [getattr(tokenizer, f"{name}_token_id", None) for name in _SPECIAL]
    tokens = [_ids(tokenizer, text) for text in _SAMPLES]
    return blake2b(json.dumps([vocabulary, special, tokens]).encode(), digest_size=16).hexdigest()


def _ids(tokenizer: Any, text: str) -> list[int] | None:
    """Return the tokens of a text, None where the tokenizer fails for want of an unknown token."""
    try:
        return list(tokenizer(text)["input_ids"])
    except Exception as error:  # all that the library raises
        if lacks_memory(error):
            raise
        return None


def can_miss(backend: Tokenizer) -> bool:
    """Return whether a tokenizer leaves out what it does not know, or fails at it, for want of an unknown token."""
    model = backend.model
    if isinstance(model, models.Unigram) or (model.unk_token and model.token_to_id(model.unk_token) is not None):
        return False
    parts = (part.__getstate__() for part in (backend.pre_tokenizer, backend.normalizer) if part is not None)
    return not any(b'"ByteLevel"' in part for part in parts) or any(
        model.token_to_id(byte) is None for byte in pre_tokenizers.ByteLevel.alphabet()
    )


def no_token(backend: Tokenizer) -> int:
    """Return an id that is no token's."""
    return 1 + max(backend.get_vocab(with_added_tokens=True).values(), default=-1)


_MARK = "\ufdd0"
"""A character that no text has, by Unicode's rules."""


def put_mark(settings: dict[str, Any], mark: int) -> None:
    """Give the model of a tokenizer's settings an unknown token; added tokens keep their ids."""
    model = settings["model"]
    added = {token["content"]: token["id"] for token in settings["added_tokens"]}
    model["vocab"] = added | model["vocab"] | {_MARK: mark}
    model["unk_token"] = _MARK


def unprepended(part: Any) -> Any:
    """Return the settings of a normalizer or splitter without what it puts before the whole text."""
    if isinstance(part, list):
        return [unprepended(item) for item in part if item.get("type") != "Prepend"]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "Prepend":
        return None
    return {name: unprepended(value) if isinstance(value, list) else value for name, value in part.items()}


def unspaced(part: Any) -> Any:
    """Return the settings of a normalizer or splitter without what it puts before a text or its words."""
    part = unprepended(part)
    if isinstance(part, list):
        return [unspaced(item) for item in part]
    if not isinstance(part, dict):
        return part
    changed = {name: unspaced(value) if isinstance(value, list) else value for name, value in part.items()}
    return changed | {name: value for name, value in _BARE.items() if name in part}


_BARE = {"add_prefix_space": False, "prepend_scheme": "never"}
