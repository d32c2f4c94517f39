"""A filled prompt in tokens: which of them are the answer's, and to which word each belongs."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Spelling:
    """A filled prompt in tokens: ids, the word of each token (None for special ones) and the answer's span."""

    ids: list[int]
    words: list[int | None]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of text in tokens."""

    ids: list[int]
    words: list[int | None]
    spans: list[tuple[int, int]]


def spell(tokenizer: Any, before: str, answer: str, after: str) -> Spelling:
    """Tokenise the filled prompt; the answer's white space on the left belongs to its first token."""
    prefix = before.rstrip()
    text = before + answer + after
    whole = _whole(tokenizer, text)
    begin, end = len(prefix), len(before) + len(answer)
    inside = [i for i, (a, b) in enumerate(whole.spans) if whole.words[i] is not None and a < end and b > begin]
    if not inside or any(whole.spans[i][0] < begin or whole.spans[i][1] > end for i in inside):
        return _spell_apart(tokenizer, prefix, text[begin:end], after)
    return Spelling(whole.ids, whole.words, inside[0], inside[-1] + 1)


def _spell_apart(tokenizer: Any, prefix: str, answer: str, after: str) -> Spelling:
    """Spell a prompt in three pieces, where a token would otherwise reach across the answer's edge."""
    head, special = _whole(tokenizer, prefix), tokenizer("", split_special_tokens=True)["input_ids"]
    stop = len(head.ids) - _closing(head, special)
    ids, words = head.ids[:stop], head.words[:stop]
    ends = []
    for text in (answer, after):
        part = _inner(tokenizer, text)
        base = 1 + max((w for w in words if w is not None), default=-1)
        ids += part.ids
        words += [None if w is None else base + w for w in part.words]
        ends.append(len(ids))
    tail = head.ids[stop:]
    return Spelling(ids + tail, words + [None] * len(tail), stop, ends[0])


def _whole(tokenizer: Any, text: str) -> _Piece:
    """Tokenise a text with the tokenizer's special tokens around it."""
    encoded = tokenizer(text, return_offsets_mapping=True, split_special_tokens=True)
    spans = encoded["offset_mapping"]
    return _Piece(list(encoded["input_ids"]), _words(encoded.word_ids(), spans, text), spans)


def _inner(tokenizer: Any, text: str) -> _Piece:
    """Tokenise a piece of a text that other text stands before."""
    encoded = _core(tokenizer).encode(text, add_special_tokens=False)
    return _Piece(list(encoded.ids), _words(encoded.word_ids, encoded.offsets, text), encoded.offsets)


_cores: WeakKeyDictionary[Any, Tokenizer] = WeakKeyDictionary()


def _core(tokenizer: Any) -> Tokenizer:
    """Return what is inside a tokenizer, changed so that it puts no space before a text."""
    if tokenizer not in _cores:
        settings = json.loads(tokenizer.backend_tokenizer.to_str())
        settings |= {"post_processor": None, "truncation": None, "padding": None}
        settings |= {part: _unspaced(settings[part]) for part in ("normalizer", "pre_tokenizer")}
        _cores[tokenizer] = Tokenizer.from_str(json.dumps(settings))
        _cores[tokenizer].encode_special_tokens = True
    return _cores[tokenizer]


def _unspaced(part: Any) -> Any:
    """Return the settings of a normalizer or splitter without what it puts before a text."""
    if isinstance(part, list):
        return [_unspaced(item) for item in part if item.get("type") != "Prepend"]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "Prepend":
        return None
    changed = {name: _unspaced(value) if isinstance(value, list) else value for name, value in part.items()}
    return changed | {name: value for name, value in _BARE.items() if name in part}


_BARE = {"add_prefix_space": False, "prepend_scheme": "never"}


def _words(numbers: Sequence[int | None], spans: Sequence[tuple[int, int]], text: str) -> list[int | None]:
    """Number the words of an encoded text, None for special tokens.

    A word is what the tokenizer's own splitting gives, and white space ends it; in scripts without spaces every
    character is one, and tokens that share a character are one word.
    """
    found: list[int | None] = []
    count, last_word, last_stop, last_unspaced = -1, None, 0, False
    for word, (start, stop) in zip(numbers, spans, strict=True):
        if word is None:
            found.append(None)
            continue
        unspaced = any(_UNSPACED.match(char) for char in text[start:stop])
        parted = unspaced or last_unspaced or text[last_stop:stop][:1].isspace()
        if word != last_word or (parted and start >= last_stop):
            count += 1
        found.append(count)
        last_word, last_stop, last_unspaced = word, stop, unspaced
    return found


_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer, kana and Han: scripts written without spaces between words."""


def _closing(head: _Piece, special: Sequence[int]) -> int:
    """Return how many special tokens the tokenizer puts after a text."""
    count, longest = 0, min(len(head.ids), len(special))
    while count < longest and head.words[-1 - count] is None and any(w is not None for w in head.words):
        count += 1
    return count
