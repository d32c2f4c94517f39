"""Prompts as padded tensors of teacher-forced steps, and batches drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from atlas.facts import Prompt, Template
from atlas.facts.bundled import LANGUAGES
from atlas.models.demo.corpus import TRANSLATION
from atlas.models.tokens import prompt_steps


@dataclass(frozen=True, slots=True)
class Rows:
    """Steps of prompts, one a row; `ids` and `noisy` are `[row, token]`, everything else `[row]`.

    `noisy` marks the tokens that belong to a template's own words: noise falls on those alone.
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

    def take(self, index: Tensor) -> "Rows":
        """Return the rows of `index` [row], cut to their longest."""
        picked = Rows(*(getattr(self, field.name)[index] for field in fields(self)))
        width = int(picked.length.max())
        return Rows(picked.ids[:, :width], picked.noisy[:, :width], *_columns(picked))


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts, padded to the widest."""
    width = max(part.ids.shape[1] for part in parts)
    ids = torch.cat([_widen(part.ids, width) for part in parts])
    noisy = torch.cat([_widen(part.noisy, width) for part in parts])
    columns = zip(*(_columns(part) for part in parts), strict=True)
    return Rows(ids, noisy, *(torch.cat(column) for column in columns))


def make_rows(tokenizer, kind: str, prompts: Sequence[Prompt], facts: dict[int, int], positions: int) -> Rows:
    """Spell `prompts` as the atlas does; `facts` numbers the facts by id."""
    template_tokens = _template_tokens(tokenizer, {prompt.template for prompt in prompts})
    table: list[tuple[int, ...]] = []
    texts: list[tuple[int, ...]] = []
    for prompt in prompts:
        language = LANGUAGES.index(prompt.language)
        for number, step in enumerate(prompt_steps(tokenizer, kind, prompt, positions)):
            texts.append(step.ids)
            fact = facts.get(prompt.fact.id, -1)
            table.append((len(step.ids), step.query, step.target, number, fact, language))
    width = max(map(len, texts))
    ids = torch.tensor([text + (0,) * (width - len(text)) for text in texts])
    columns = torch.tensor(table).T
    noisy = torch.isin(ids, template_tokens) & (torch.arange(width) < columns[0][:, None])
    noisy[torch.arange(len(ids)), columns[1]] &= kind == "causal"
    return Rows(ids, noisy, *columns)


def with_noise(rows: Rows, share: float, filler: int, generator: torch.Generator) -> Rows:
    """Replace a `share` of the template tokens by the `filler` or by another template token of the batch."""
    chance = torch.rand(rows.ids.shape, generator=generator)
    pool = rows.ids[rows.noisy]
    other = pool[torch.randint(len(pool), rows.ids.shape, generator=generator)]
    ids = torch.where(rows.noisy & (chance < share), other, rows.ids)
    ids = torch.where(rows.noisy & (chance < share / 2), filler, ids)
    return Rows(ids, rows.noisy, *_columns(rows))


def _columns(rows: Rows) -> list[Tensor]:
    return [getattr(rows, field.name) for field in fields(rows)[2:]]


def _widen(tensor: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]))


def _template_tokens(tokenizer, templates: set[Template]) -> Tensor:
    """Return the ids of all pieces of the templates' own words, without special tokens."""
    texts = sorted(t.text.replace("[X]", " ").replace("[Y]", " ") for t in templates if t.relation != TRANSLATION)
    texts = texts or [""]
    pieces = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return torch.tensor(sorted({piece for ids in pieces for piece in ids}), dtype=torch.long)
