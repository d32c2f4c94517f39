"""Prompts to token ids: the teacher-forced steps of a prompt (METHOD 1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.errors import ModelError, TokenError
from atlas.facts import Prompt
from atlas.models.families import Kind
from atlas.models.marks import sentinel_id, set_language

SEPARATOR = -1
"""Stands in `Step.ids` between what a decoder and what its encoder reads; no token has this id."""


class NotFinalError(ModelError):
    """A causal model cannot use a template that goes on after the object."""


class TooLongError(ModelError):
    """A prompt has more tokens than the model has positions."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of the answer, asked for at one position.

    `ids` [token] is what the model sees, `query` the position read, `target` the gold token's id, and `words` the
    positions of each word of the query; special tokens and masks are not words. For an encoder and a decoder, `ids` are
    the decoder's, SEPARATOR, and the encoder's.
    """

    ids: tuple[int, ...]
    query: int
    target: int
    words: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """The number of ids and how many of them the blocks read: steps of equal shape can run together."""
        return len(self.ids), self.ids.index(SEPARATOR) if SEPARATOR in self.ids else len(self.ids)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A filled prompt in tokens: ids, the word of each token (None for special ones) and the answer's span."""

    ids: list[int]
    words: list[int | None]
    start: int
    stop: int


def prompt_steps(tokenizer: Any, kind: Kind, prompt: Prompt, max_tokens: int) -> list[Step]:
    """Return one `Step` per token of the answer.

    Raises TokenError for an answer that the tokenizer cannot spell, NotFinalError for a causal model and a template
    that does not end in the object, TooLongError beyond `max_tokens`.
    """
    if kind == "causal" and not prompt.template.ends_in_object:
        raise NotFinalError(
            f"The template {prompt.template.text!r} does not end in the object; a causal model needs that."
        )
    if kind == "infilling":
        set_language(tokenizer, prompt.language)
    spelling = _spell(tokenizer, prompt.before, prompt.answer, "" if kind == "causal" else prompt.after)
    _check(tokenizer, spelling, prompt.answer, max_tokens)
    build = _BUILDERS[kind]
    return [build(tokenizer, spelling, position) for position in range(spelling.start, spelling.stop)]


def filler_id(tokenizer: Any, kind: Kind) -> int:
    """Return the token that stands for a word taken away: a mask or sentinel, or end-of-text (causal)."""
    if kind == "causal":
        token, name = tokenizer.eos_token_id, "end-of-text"
    else:
        token, name = tokenizer.mask_token_id, "mask"
        if kind == "infilling":
            token = token if sentinel_id(tokenizer, 1) is None else sentinel_id(tokenizer, 1)
    if token is None:
        raise ModelError(f"The tokenizer has no {name} token, so word baselines cannot be made; use --method kn.")
    return int(token)


def _spell(tokenizer: Any, before: str, answer: str, after: str) -> _Spelling:
    """Tokenise the filled prompt; the answer's white space on the left belongs to its first token."""
    prefix = before.rstrip()
    text = before + answer + after
    encoded = tokenizer(text, return_offsets_mapping=True, split_special_tokens=True)
    begin, end = len(prefix), len(before) + len(answer)
    spans, words = encoded["offset_mapping"], _words(encoded, text)
    inside = [i for i, (a, b) in enumerate(spans) if words[i] is not None and a < end and b > begin]
    whole = inside and all(spans[i][0] >= begin and spans[i][1] <= end for i in inside)
    if not whole:
        return _spell_apart(tokenizer, prefix, text[begin:end], after)
    return _Spelling(list(encoded["input_ids"]), words, inside[0], inside[-1] + 1)


def _spell_apart(tokenizer: Any, prefix: str, answer: str, after: str) -> _Spelling:
    """Spell a prompt in three pieces, where a token would otherwise reach across the answer's edge."""
    head = tokenizer(prefix, split_special_tokens=True, return_offsets_mapping=True)
    head_words = _words(head, prefix)
    special = tokenizer("", split_special_tokens=True)["input_ids"]
    closing = _closing(head["input_ids"], special, head_words)
    ids = list(head["input_ids"][: len(head["input_ids"]) - closing])
    words = head_words[: len(ids)]
    start = len(ids)
    stop = start
    for piece in (answer, after):
        part = tokenizer(piece, split_special_tokens=True, add_special_tokens=False, return_offsets_mapping=True)
        base = 1 + max((w for w in words if w is not None), default=-1)
        ids += part["input_ids"]
        words += [None if w is None else base + w for w in _words(part, piece)]
        stop = len(ids) if piece is answer else stop
    tail = head["input_ids"][len(head["input_ids"]) - closing :]
    return _Spelling(ids + list(tail), words + [None] * len(tail), start, stop)


def _words(encoded: Any, text: str) -> list[int | None]:
    """Number the words of an encoded text, None for special tokens.

    A word is what the tokenizer's own splitting gives; in scripts without spaces every character is one, and tokens
    that share a character are one word.
    """
    numbers: list[int | None] = []
    count, last_word, last_stop, last_unspaced = -1, None, 0, False
    for word, (start, stop) in zip(encoded.word_ids(), encoded["offset_mapping"], strict=True):
        if word is None:
            numbers.append(None)
            continue
        unspaced = any(_UNSPACED.match(char) for char in text[start:stop])
        if word != last_word or ((unspaced or last_unspaced) and start >= last_stop):
            count += 1
        numbers.append(count)
        last_word, last_stop, last_unspaced = word, stop, unspaced
    return numbers


_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer, kana and Han: scripts written without spaces between words."""


def _closing(ids: Sequence[int], special: Sequence[int], words: Sequence[int | None]) -> int:
    """Return how many special tokens the tokenizer puts after a text."""
    count = 0
    while count < min(len(ids), len(special)) and words[-1 - count] is None and any(w is not None for w in words):
        count += 1
    return count


def _check(tokenizer: Any, spelling: _Spelling, answer: str, max_tokens: int) -> None:
    tokens = spelling.ids[spelling.start : spelling.stop]
    if not tokens or not answer.strip() or tokenizer.unk_token_id in tokens:
        raise TokenError(f"The tokenizer cannot spell the answer {answer!r}; leave the fact out or use another model.")
    if len(spelling.ids) > max_tokens:
        raise TooLongError(f"The prompt has {len(spelling.ids)} tokens, the model at most {max_tokens}; shorten it.")


def _masked_step(tokenizer: Any, spelling: _Spelling, position: int) -> Step:
    """Gold tokens before `position`, masks from it to the end of the answer (METHOD 1)."""
    masked = range(position, spelling.stop)
    ids = [tokenizer.mask_token_id if i in masked else token for i, token in enumerate(spelling.ids)]
    return Step(tuple(ids), position, spelling.ids[position], _group(spelling.words, masked))


def _causal_step(tokenizer: Any, spelling: _Spelling, position: int) -> Step:
    """The tokens before `position`; the query is the last of them."""
    if position == 0:
        raise TokenError("A causal model needs at least one token before the answer; add a word to the template.")
    ids = spelling.ids[:position]
    return Step(tuple(ids), position - 1, spelling.ids[position], _group(spelling.words[:position], range(0)))


def _infilling_step(tokenizer: Any, spelling: _Spelling, position: int) -> Step:
    """The encoder reads the prompt with one mark in the object's place; the decoder has written what comes before.

    With sentinels (T5) the decoder writes the answer alone; without (BART) it writes the text again up to the answer,
    beginning with the token that ends a text.
    """
    ids, words, start, stop = spelling.ids, spelling.words, spelling.start, spelling.stop
    sentinel = sentinel_id(tokenizer, 0)
    if sentinel is not None:
        mark, written, owner = sentinel, [tokenizer.pad_token_id, sentinel], [None, None]
    else:
        mark, written, owner = tokenizer.mask_token_id, [ids[-1], *ids[:start]], [None, *words[:start]]
    decoder = [*written, *ids[start:position]]
    whole = [*decoder, SEPARATOR, *ids[:start], mark, *ids[stop:]]
    places = [*owner, *(None for _ in whole[len(owner) : len(decoder) + 1]), *words[:start], None, *words[stop:]]
    return Step(tuple(whole), len(decoder) - 1, ids[position], _group(places, range(0)))


_BUILDERS = {"masked": _masked_step, "causal": _causal_step, "infilling": _infilling_step}


def _group(words: Sequence[int | None], masked: range) -> tuple[tuple[int, ...], ...]:
    """Return the token positions of each word, in order, without special tokens and masks."""
    groups: dict[int, list[int]] = {}
    for position, word in enumerate(words):
        if word is not None and position not in masked:
            groups.setdefault(word, []).append(position)
    return tuple(tuple(positions) for positions in groups.values())
