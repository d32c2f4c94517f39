"""The settings of a tokenizer, changed: nothing put before a text, and a mark for what there is no token for."""

from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers


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
