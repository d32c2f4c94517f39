"""Prompts to token ids: the teacher-forced steps of a prompt (METHOD 1)."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

from atlas.errors import ModelError, TokenError
from atlas.facts import Label, Prompt
from atlas.models.families import TWO_STACKS, Kind
from atlas.models.spelling import Spelling, spell

SEPARATOR = -1
"""Stands in `Step.ids` between what the stack with the neurons reads and what the other does; no token's id."""


Position = Literal["query", "subject"]
"""Where the neurons are: where the answer is asked, or at the subject's last token (METHOD 2)."""


class NotFinalError(ModelError):
    """A causal model cannot use a template that goes on after the object."""


class TooLongError(ModelError):
    """A prompt has more tokens than the model has positions."""


class NoSubjectError(ModelError):
    """A prompt in which no token is the subject's last one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of the answer, asked for at one position.

    `ids` [token] is what the model sees, `query` the position read, `target` the gold token's id, and `words` the
    positions of each word of the query; special tokens and masks are not words. For an encoder and a decoder, `ids` are
    those of the stack whose neurons are asked for, SEPARATOR, and the other's. The answer is read at the query, but at
    the decoder's last token where the query is the encoder's. `unknown` counts the tokens beside the answer, and the
    characters left out, that the vocabulary does not know. `subject` is the position of the subject's last token, if
    the neurons are asked for there.
    """

    ids: tuple[int, ...]
    query: int
    target: int
    words: tuple[tuple[int, ...], ...]
    unknown: int = 0
    subject: int | None = None

    @property
    def at(self) -> int:
        """The position of the neurons: that of the subject's last token if it is known, else the query."""
        return self.query if self.subject is None else self.subject

    @property
    def shape(self) -> tuple[int, int]:
        """The number of ids and how many of them the blocks read: steps of equal shape can run together."""
        return len(self.ids), self.ids.index(SEPARATOR) if SEPARATOR in self.ids else len(self.ids)


def prompt_steps(
    tokenizer: Any, kind: Kind, prompt: Prompt, max_tokens: int, rows: int | None = None, at: Position = "query"
) -> list[Step]:
    """Return one `Step` per token of the answer, with the neurons `at` the query or the subject's last token.

    Raises TokenError for an answer or a subject that the tokenizer cannot spell and for tokens that have none of the
    `rows` of the embedding, NotFinalError for a causal model and a template that does not end in the object,
    TooLongError if a stack is shown more than `max_tokens`, at the subject NoSubjectError where no token is its last.
    """
    if kind == "causal" and not prompt.template.ends_in_object:
        raise NotFinalError(
            f"The template {prompt.template.text!r} does not end in the object; a causal model needs that."
        )
    if kind != "causal" and mark_id(tokenizer, kind) is None:
        raise ModelError(
            f"The tokenizer has no mask token, where a model of kind {kind} is asked; use the model's own tokenizer."
        )
    before, after = prompt.around
    with language_marked(tokenizer, prompt.language) if kind in TWO_STACKS else nullcontext():
        spelling = spell(tokenizer, before, prompt.label.object, "" if kind == "causal" else after)
    _check(spelling, prompt.label, rows)
    build = _BUILDERS[kind]
    # Examples are lines before the last; no template of a source has one.
    example = before.rfind("\n")
    query = spelling if example < 0 else spelling.from_character(example + 1)
    steps = [build(tokenizer, query, position) for position in range(spelling.start, spelling.stop)]
    shown = max(max(width, count - width - 1) for count, width in (step.shape for step in steps))
    if shown > max_tokens:
        raise TooLongError(f"The prompt has {shown} tokens, the model at most {max_tokens}; shorten it.")
    subject = None if at == "query" else _subject(tokenizer, kind, spelling, prompt)
    return [replace(step, unknown=spelling.lacking[1], subject=subject) for step in steps]


def filler_id(tokenizer: Any, kind: Kind) -> int:
    """Return the token that stands for a word taken away: a mask or sentinel, or end-of-text (causal)."""
    if kind == "causal":
        token, name = tokenizer.eos_token_id, "end-of-text"
    else:
        token, name = tokenizer.mask_token_id, "mask"
        if kind in TWO_STACKS:
            token = token if sentinel_id(tokenizer, 1) is None else sentinel_id(tokenizer, 1)
    if token is None:
        raise ModelError(f"The tokenizer has no {name} token, so word baselines cannot be made; use --method kn.")
    return int(token)


def padding_id(tokenizer: Any, kind: Kind) -> int | None:
    """Return the token that fills up shorter sequences of a masked model; None if it has none for that alone."""
    names = ("pad", "sep", "eos", "cls", "mask", "unk")
    own, *others = (getattr(tokenizer, f"{name}_token_id", None) for name in names)
    return None if kind != "masked" or own in others else own


def mark_id(tokenizer: Any, kind: Kind) -> int | None:
    """Return what stands in the object's place: T5's first sentinel, or the mask."""
    sentinel = sentinel_id(tokenizer, 0) if kind in TWO_STACKS else None
    mask: int | None = tokenizer.mask_token_id
    return mask if sentinel is None else sentinel


def sentinel_id(tokenizer: Any, number: int) -> int | None:
    """Return T5's sentinel `<extra_id_number>`, None for a tokenizer without."""
    name = f"<extra_id_{number}>"
    found = (tokenizer.backend_tokenizer.token_to_id(word) for word in (name, f"▁{name}"))
    return next((token for token in found if token is not None), None)


@contextmanager
def language_marked(tokenizer: Any, language: str) -> Iterator[None]:
    """Let a tokenizer that marks texts with their language (mBART) mark them with `language` inside the block.

    Raises TokenError if it does not know it.
    """
    own = getattr(tokenizer, "src_lang", None)
    if own is None:
        yield
        return
    stem = language.split("-")[0] + "_"
    codes = sorted(word for word in tokenizer.all_special_tokens if word.startswith(stem))
    if not codes:
        raise TokenError(f"The tokenizer has no mark for the language {language!r}; leave the language out.")
    tokenizer.src_lang = codes[0]
    try:
        yield
    finally:
        tokenizer.src_lang = own  # which its digest is of


def _check(spelling: Spelling, label: Label, rows: int | None) -> None:
    """Raise TokenError for what the model cannot be asked."""
    if not label.object.strip() or spelling.start == spelling.stop or spelling.lacking[0]:
        raise TokenError(
            f"The tokenizer cannot spell the answer {label.object!r}; leave the fact out or use another model."
        )
    subject, text = label.subject, spelling.text
    for found in re.finditer(re.escape(subject), text) if subject.strip() else ():
        if not spelling.known(*found.span()):
            raise TokenError(
                f"The tokenizer knows nothing of the subject {subject!r}; leave the fact out or use another model."
            )
    if rows is not None and max(spelling.ids) >= rows:
        raise TokenError(
            f"The tokenizer spells {text!r} with token {max(spelling.ids)}, for which the model's embedding of {rows} "
            f"rows has none; use the model's own tokenizer."
        )


def _masked_step(tokenizer: Any, spelling: Spelling, position: int) -> Step:
    """Gold tokens before `position`, masks from it to the end of the answer (METHOD 1)."""
    masked = range(position, spelling.stop)
    ids = [tokenizer.mask_token_id if i in masked else token for i, token in enumerate(spelling.ids)]
    return Step(tuple(ids), position, spelling.ids[position], _group(spelling.words, masked))


def _causal_step(tokenizer: Any, spelling: Spelling, position: int) -> Step:
    """The tokens before `position`; the query is the last of them."""
    if position == 0:
        raise TokenError("A causal model needs at least one token before the answer; add a word to the template.")
    ids = spelling.ids[:position]
    return Step(tuple(ids), position - 1, spelling.ids[position], _group(spelling.words[:position], range(0)))


def _infilling_step(tokenizer: Any, spelling: Spelling, position: int) -> Step:
    """The encoder reads the prompt with one mark in the object's place; the decoder has written what comes before.

    With sentinels (T5) the decoder writes the answer alone; without (BART) it writes the text again up to the answer,
    beginning with the token that ends a text.
    """
    ids, words, start, stop = spelling.ids, spelling.words, spelling.start, spelling.stop
    mark = sentinel_id(tokenizer, 0)
    owner: list[int | None] = [None, None]
    if mark is not None:
        written = [tokenizer.pad_token_id, mark]
    else:
        mark, written, owner = tokenizer.mask_token_id, [ids[-1], *ids[:start]], [None, *words[:start]]
    decoder = [*written, *ids[start:position]]
    text = [*decoder, SEPARATOR, *ids[:start], mark, *ids[stop:]]
    places = [*owner, *words[start:position], None, *words[:start], None, *words[stop:]]
    return Step(tuple(text), len(decoder) - 1, ids[position], _group(places, range(0)))


def _reading_step(tokenizer: Any, spelling: Spelling, position: int) -> Step:
    """As `_infilling_step`, asked at the encoder's mark: the decoder's ids come last, and its words change nothing."""
    step, start, stop = _infilling_step(tokenizer, spelling, position), spelling.start, spelling.stop
    width = step.query + 1
    words = [*spelling.words[:start], None, *spelling.words[stop:]]
    ids = (*step.ids[width + 1 :], SEPARATOR, *step.ids[:width])
    return replace(step, ids=ids, query=start, words=_group(words, range(0)))


_BUILDERS = {"masked": _masked_step, "causal": _causal_step, "infilling": _infilling_step, "reading": _reading_step}


def _subject(tokenizer: Any, kind: Kind, spelling: Spelling, prompt: Prompt) -> int:
    """Return the position of the subject's last token in the steps' ids; where it stands several times, of its last.

    Raises NoSubjectError if the stack with the neurons does not see the subject before it answers, and if a token
    holds some of the subject and of its neighbours.
    """
    place = _places_of[kind]
    seen = [
        (position, whole)
        for span in prompt.subject_places
        for last, whole in [spelling.last_token(*span)]
        if last is not None and (position := place(tokenizer, spelling, last)) is not None
    ]
    if not seen:
        raise NoSubjectError(f"What asks for the answer does not see the subject of {prompt.text!r}; ask at the query.")
    position, whole = seen[-1]
    if not whole:
        raise NoSubjectError(
            f"A token of {prompt.text!r} reaches over the edge of the subject; leave the template out or ask at the "
            f"query."
        )
    return position


def _in_text(tokenizer: Any, spelling: Spelling, token: int) -> int | None:
    """Return where token `token` of the filled prompt is in a masked model: there."""
    return token


def _in_beginning(tokenizer: Any, spelling: Spelling, token: int) -> int | None:
    """Return where a token is in a causal model, which sees what comes before the answer alone."""
    return token if token < spelling.start else None


def _in_written(tokenizer: Any, spelling: Spelling, token: int) -> int | None:
    """Return where a token is in what a decoder has written: with sentinels (T5) the answer alone."""
    return token + 1 if sentinel_id(tokenizer, 0) is None and token < spelling.start else None


def _in_read(tokenizer: Any, spelling: Spelling, token: int) -> int | None:
    """Return where a token is in what an encoder reads, where one mark stands for the answer."""
    return token if token < spelling.start else token + 1 - (spelling.stop - spelling.start)


_places_of = {"masked": _in_text, "causal": _in_beginning, "infilling": _in_written, "reading": _in_read}


def _group(words: Sequence[int | None], masked: range) -> tuple[tuple[int, ...], ...]:
    """Return the token positions of each word, in order, without special tokens and masks."""
    groups: dict[int, list[int]] = {}
    for position, word in enumerate(words):
        if word is not None and position not in masked:
            groups.setdefault(word, []).append(position)
    return tuple(tuple(positions) for positions in groups.values())
