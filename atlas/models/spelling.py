"""A filled prompt in tokens: which of them are the answer's, to which word each belongs, and what is not known."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Encoding, Tokenizer, models

from atlas.errors import TokenError, lacks_memory
from atlas.facts.reading.texts import UNSPACED
from atlas.models.tokenizer_settings import can_miss, no_token, put_mark, unprepended, unspaced


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text in tokens: ids, the word of each token (None for special ones) and its place in the text.

    `missed` are the places of characters that no token stands for.
    """

    ids: list[int]
    words: list[int | None]
    spans: list[tuple[int, int]]
    missed: list[tuple[int, int]]

    def __add__(self, other: "Piece") -> "Piece":
        """Return both, one after the other; their words stay apart."""
        base = 1 + max((w for w in self.words if w is not None), default=-1)
        words = [None if w is None else base + w for w in other.words]
        return Piece(
            self.ids + other.ids, self.words + words, self.spans + other.spans, self.missed + other.missed
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spelling(Piece):
    """A filled prompt in tokens, the answer's `[start, stop)` and its place `[begin, end)` in the text.

    `unknown` are the ids that stand for what the vocabulary lacks, `text` is what is spelt.
    """

    text: str
    unknown: frozenset[int | None]
    start: int
    stop: int
    begin: int
    end: int

    @property
    def lacking(self) -> tuple[int, int]:
        """The number of unknown tokens and of missed characters, of the answer and beside it."""
        tokens = [i for i, word in enumerate(self.words) if word is not None and self.ids[i] in self.unknown]
        answer = sum(self.start <= i < self.stop for i in tokens)
        answer += sum(_touch(span, self.begin, self.end) for span in self.missed)
        return answer, len(tokens) + len(self.missed) - answer

    def known(self, begin: int, end: int) -> bool:
        """Return whether a known token stands for some of the text from `begin` to `end`."""
        tokens = zip(self.ids, self.words, self.spans, strict=True)
        return any(w is not None and _touch(s, begin, end) and i not in self.unknown for i, w, s in tokens)

    def last_token(self, begin: int, end: int) -> tuple[int | None, bool]:
        """Return the last token of the text from `begin` to `end`, None without one.

        And whether its tokens are of that text alone, or of white space beside it.
        """
        tokens = [
            (place, span)
            for place, (word, span) in enumerate(zip(self.words, self.spans, strict=True))
            if word is not None and _touch(span, begin, end)
        ]
        outside = "".join(self.text[min(a, begin) : begin] + self.text[end : max(b, end)] for _, (a, b) in tokens)
        return (tokens[-1][0], not outside.strip()) if tokens else (None, False)

    def from_character(self, start: int) -> "Spelling":
        """Return it with no words before the text's character `start`: what stands there is no part of the query."""
        words = [None if span[1] <= start else word for word, span in zip(self.words, self.spans, strict=True)]
        return replace(self, words=words)


def spell(tokenizer: Any, before: str, answer: str, after: str) -> Spelling:
    """Tokenise the filled prompt; the answer's white space on the left belongs to its first token.

    Raises TokenError for a text that the tokenizer refuses.
    """
    text = before + answer + after
    # A line break ends an example: it is no white space of the answer's.
    begin, end = len(before if before.endswith("\n") else before.rstrip()), len(before) + len(answer)
    if tokenizer not in _insides:
        _insides[tokenizer] = _Inside(tokenizer.backend_tokenizer)
    inside = _insides[tokenizer]
    piece = inside.own(tokenizer, text)
    places = [i for i, span in enumerate(piece.spans) if _touch(span, begin, end)]
    if places and all(not text[piece.spans[i][0] : begin].strip() and piece.spans[i][1] <= end for i in places):
        start, stop = places[0], places[-1] + 1
    else:
        piece, start, stop = _apart(inside, tokenizer, piece, text, begin, end)
    unknown = frozenset({inside.unknown, tokenizer.unk_token_id})
    return Spelling(piece.ids, piece.words, piece.spans, piece.missed, text, unknown, start, stop, begin, end)


def _apart(inside: "_Inside", tokenizer: Any, whole: Piece, text: str, begin: int, end: int) -> tuple[Piece, int, int]:
    """Spell a prompt in three pieces, where a token would otherwise reach across the answer's edge.

    The special tokens around it are those of the text as a `whole`.
    """
    opening, _, closing = _parted(whole)
    piece, ends = opening, []
    for start, stop in ((0, begin), (begin, end), (end, len(text))):
        part = _parted(inside.own(tokenizer, text[:stop]))[1] if start == 0 else inside.going_on(text[start:stop])
        piece += _moved(part, start)
        ends.append(len(piece.ids))
    return piece + closing, ends[0], ends[1]


def _parted(piece: Piece) -> tuple[Piece, Piece, Piece]:
    """Return the special tokens before a piece's first word, what stands between, and those after its last word."""
    places = [i for i, word in enumerate(piece.words) if word is not None]
    first, last = (places[0], places[-1] + 1) if places else (len(piece.ids), len(piece.ids))
    opening, inner, closing = (
        Piece(piece.ids[part], piece.words[part], piece.spans[part], [])
        for part in (slice(first), slice(first, last), slice(last, None))
    )
    return opening, replace(inner, missed=piece.missed), closing


def _moved(piece: Piece, by: int) -> Piece:
    spans, missed = ([(a + by, b + by) for a, b in places] for places in (piece.spans, piece.missed))
    return Piece(piece.ids, piece.words, spans, missed)


def _touch(span: tuple[int, int], begin: int, end: int) -> bool:
    return span[0] < end and span[1] > begin


def _asked(encode: Any, text: str, **options: bool) -> Any:
    """Return what `encode` gives; the library's tokenizers know one exception, whatever went wrong."""
    try:
        return encode(text, **options)
    except Exception as error:
        if lacks_memory(error):
            raise
        raise TokenError(f"The tokenizer cannot read {text!r} ({error}); leave it out.") from error


class _Inside:
    """A tokenizer without its special tokens, made to say which characters it has no token for."""

    def __init__(self, backend: Tokenizer) -> None:
        self._backend = backend
        self._mark = no_token(backend) if can_miss(backend) else None

    @cached_property
    def unknown(self) -> int | None:
        """The id that the model puts for what its vocabulary lacks."""
        model = self._backend.model
        if isinstance(model, models.Unigram):
            number: int | None = json.loads(model.__getstate__())["unk_id"]
            return number
        return None if model.unk_token is None else model.token_to_id(model.unk_token)

    def own(self, tokenizer: Any, text: str) -> Piece:
        """Tokenise a text as the tokenizer does, with the special tokens that its own template puts around it."""
        if self._mark is None:
            return self._checked(_asked(tokenizer, text, split_special_tokens=True).encodings[0], text)
        self._same.post_processor = self._backend.post_processor
        return self._checked(_asked(self._same.encode, text), text)

    def going_on(self, text: str) -> Piece:
        """Tokenise a text that other text stands right before: nothing is put before its first word."""
        first = re.match(r"\S*", text).end() if self._parts else len(text)  # type: ignore[union-attr]  # matches nothing too
        return self._piece(self._bare, text[:first]) + _moved(self._piece(self._loose, text[first:]), first)

    def _piece(self, core: Tokenizer, text: str) -> Piece:
        if not text:
            return Piece([], [], [], [])
        return self._checked(_asked(core.encode, text, add_special_tokens=False), text)

    def _checked(self, encoded: Encoding, text: str) -> Piece:
        """Return the piece without the marks for what no token stands for, which are `missed`."""
        ids, spans = encoded.ids, encoded.offsets
        numbers = _words(encoded.word_ids, spans, text)
        kept = [i for i, token in enumerate(ids) if token != self._mark]
        covered = {place for a, b in spans for place in range(a, b)}
        lost = [(i, i + 1) for i, char in enumerate(text) if i not in covered and not self._nothing(char)]
        missed = [spans[i] for i, token in enumerate(ids) if token == self._mark]
        return Piece([ids[i] for i in kept], [numbers[i] for i in kept], [spans[i] for i in kept], missed + lost)

    def _nothing(self, char: str) -> bool:
        """Return whether a character is white space, part of another, or nothing by the tokenizer's own rules."""
        if char.isspace() or unicodedata.category(char)[0] in "MC":
            return True
        normalizer = self._backend.normalizer
        return normalizer is not None and not normalizer.normalize_str(char).strip("▁ ")

    @cached_property
    def _same(self) -> Tokenizer:
        return self._core(lambda part: part)

    @cached_property
    def _loose(self) -> Tokenizer:
        """Puts nothing before the text, but before its words what their splitter took from them."""
        return self._core(unprepended)

    @cached_property
    def _bare(self) -> Tokenizer:
        """Puts nothing before the text or its words."""
        return self._core(unspaced)

    @cached_property
    def _parts(self) -> bool:
        """True if white space is gone when the mark of a word is put, so that only the splitter knows of it."""
        cores = (self._loose, self._bare)
        split = [c.pre_tokenizer and [word for word, _ in c.pre_tokenizer.pre_tokenize_str(" a")] for c in cores]
        return split[0] != split[1]

    def _core(self, change: Any) -> Tokenizer:
        """Return the backend with its normalizer and splitter changed, without special tokens."""
        settings = json.loads(self._backend.to_str())
        settings |= {"post_processor": None, "truncation": None, "padding": None}
        settings |= {part: change(settings[part]) for part in ("normalizer", "pre_tokenizer")}
        if self._mark is not None:
            put_mark(settings, self._mark)
        core = Tokenizer.from_str(json.dumps(settings))
        core.encode_special_tokens = True
        return core


_insides: WeakKeyDictionary[Any, _Inside] = WeakKeyDictionary()


def _words(numbers: Sequence[int | None], spans: Sequence[tuple[int, int]], text: str) -> list[int | None]:
    """Number the words of an encoded text, None for special tokens.

    A word is what the tokenizer's own splitting gives, with the white space before it, which ends the word before; in
    scripts without spaces every character is one, and tokens that share a character are one word. Vowel signs, tone
    marks and joiners begin no word, and part no letters.
    """
    found: list[int | None] = []
    count, last_word, last_stop, last_unspaced, blank = -1, None, 0, False, False
    for word, (start, stop) in zip(numbers, spans, strict=True):
        if word is None:
            found.append(None)
            continue
        unspaced = any(_UNSPACED.match(char) for char in text[start:stop])
        parted = unspaced or last_unspaced or text[last_stop:stop][:1].isspace()
        letter = text[start:stop][:1].isalpha() and not parted
        beside = text[start - letter] if 0 < start == last_stop < stop else " "
        bound = unicodedata.category(beside) in _BINDING
        if not (blank or bound) and (word != last_word or (parted and start >= last_stop)):
            count += 1
        found.append(count)
        last_word, last_stop, last_unspaced, blank = word, stop, unspaced, not text[start:stop].strip()
    return found


_BINDING = {"Mn", "Mc", "Me", "Cf"}
"""Categories of vowel signs, tone marks and joiners, which are of the word before them, and letters behind them too."""
_UNSPACED = re.compile(f"[{UNSPACED}]")
