"""Prompts as padded tensors of teacher-forced steps, batches drawn from them, and noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from atlas.facts import Prompt
from atlas.facts.bundled import LANGUAGES
from atlas.models.families import Kind
from atlas.models.tokens import prompt_steps


@dataclass(frozen=True, slots=True)
class Sequences:
    """Steps of prompts, one a row; `ids` and `noisy` are `[row, token]`, everything else `[row]`.

    `noisy` marks the tokens that noise may fall on: no names, no special tokens, no masks.
    """

    ids: Tensor
    noisy: Tensor
    length: Tensor
    query: Tensor
    target: Tensor
    step: Tensor
    fact: Tensor
    language: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self) -> list[Tensor]:
        """Return what is `[row]`: length, query, target, step, fact, language."""
        return [getattr(self, field.name) for field in fields(self)[2:]]

    def take(self, index: Tensor) -> "Sequences":
        """Return the rows of `index` [row], cut to their longest."""
        columns = [column[index] for column in self.columns()]
        width = int(columns[0].max())
        return Sequences(self.ids[index, :width], self.noisy[index, :width], *columns)


def make_rows(
    tokenizer: Any, kind: Kind, prompts: Sequence[Prompt], facts: Mapping[int, int], names: Tensor, positions: int
) -> Sequences:
    """Spell `prompts` as the atlas does; `facts` numbers the facts by id, `names` [token] are spared from noise."""
    texts: list[tuple[int, ...]] = []
    table: list[tuple[int, ...]] = []
    for prompt in prompts:
        place = facts.get(prompt.fact.id, -1), LANGUAGES.index(prompt.language)
        for number, step in enumerate(prompt_steps(tokenizer, kind, prompt, positions)):
            texts.append(step.ids)
            table.append((len(step.ids), step.query, step.target, number, *place))
    width = max(map(len, texts))
    ids = torch.tensor([text + (0,) * (width - len(text)) for text in texts])
    columns = torch.tensor(table).T
    noisy = ~torch.isin(ids, names) & (torch.arange(width) < columns[0][:, None])
    return Sequences(ids, noisy, *columns)


def concatenate(parts: Sequence[Sequences]) -> Sequences:
    """Return the rows of all parts, padded to the widest."""
    width = max(part.ids.shape[1] for part in parts)
    ids = torch.cat([_widen(part.ids, width) for part in parts])
    noisy = torch.cat([_widen(part.noisy, width) for part in parts])
    columns = zip(*(part.columns() for part in parts), strict=True)
    return Sequences(ids, noisy, *(torch.cat(column) for column in columns))


def with_noise(rows: Sequences, share: float, words: Tensor, generator: torch.Generator) -> Sequences:
    """Put words of `words` [token] in place of a `share` of the noisy tokens, and up to three before one of them."""
    other = words[torch.randint(len(words), rows.ids.shape, generator=generator)]
    hit = rows.noisy & (torch.rand(rows.ids.shape, generator=generator) < share)
    changed = Sequences(torch.where(hit, other, rows.ids), rows.noisy, *rows.columns())
    count = torch.randint(0, 4, (len(rows),), generator=generator)
    place = torch.multinomial(rows.noisy.float() + 1e-9 * (rows.ids > 0), 1, generator=generator)[:, 0]
    count = torch.where(rows.noisy[torch.arange(len(rows)), place], count, 0)
    return _insert(changed, place, count, words, generator)


def _insert(rows: Sequences, place: Tensor, count: Tensor, words: Tensor, generator: torch.Generator) -> Sequences:
    """Insert `count` [row] random words before the token at `place` [row]."""
    width = rows.ids.shape[1] + int(count.max())
    at = torch.arange(width).expand(len(rows), width)
    start, stop = place[:, None], (place + count)[:, None]
    source = torch.where(at < start, at, (at - count[:, None])).clamp(0, rows.ids.shape[1] - 1)
    new = (at >= start) & (at < stop)
    random = words[torch.randint(len(words), at.shape, generator=generator)]
    ids = torch.where(new, random, rows.ids.gather(1, source))
    length, query, *rest = rows.columns()
    query = query + count * (query >= place)
    return Sequences(ids, rows.noisy.gather(1, source) & ~new, length + count, query, *rest)


def _widen(tensor: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]))
