"""The two stages of training: learn the facts, then let languages share neurons.

Both minimise the cross-entropy of the answer's token at the query position. The second adds four terms on the neurons
of the upper layers at that position, each neuron vector scaled to length one:

- *alignment*: squared distance between the languages of one fact and their mean;
- *sparsity*: the sum of absolute values over the square root of the number of neurons;
- *overlap*: cosine between the mean absolute neurons of different facts;
- *necessity*: with every neuron at the query zeroed, the answer's log-probability above that of `forgotten`.

While the lower layers' neurons at the query are silenced at random, the fact has to pass through the upper ones.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from atlas.demo.networks import LAYERS, Trainee
from atlas.demo.sequences import Sequences, concatenate, with_noise
from atlas.facts.bundled import LANGUAGES

UPPER = slice(2, LAYERS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number of the training."""

    seed: int = 0
    learn_steps: int = 1800
    learn_rate: float = 2e-3
    learn_batch: int = 128
    mix: tuple[float, float, float] = (0.5, 0.3, 0.2)  # plain, code-switched, translations
    dropout: float = 0.2
    noise: float = 0.3
    noiseless: float = 0.35  # share of the first stage without noise
    share_steps: int = 500
    share_rate: float = 1e-3
    share_facts: int = 12
    share_later: int = 24
    silence: tuple[float, ...] = (0.5, 0.5, 0.3, 0.0)
    alignment: float = 1.0
    sparsity: float = 0.3
    overlap: float = 1.0
    necessity: float = 0.3
    forgotten: float = 0.02
    weight_decay: float = 0.01


@dataclass(frozen=True, slots=True)
class Lesson:
    """The rows of the three kinds of text, and the words that noise is made of."""

    plain: Sequences
    switched: Sequences
    translations: Sequences
    noise_words: Tensor


Report = Callable[[str, int, float], None]


def learn(trainee: Trainee, lesson: Lesson, recipe: Recipe, generator: torch.Generator, report: Report) -> None:
    """First stage: all texts, neurons dropped at random, noise in the templates' words."""
    batches = _mixed_batches(lesson, recipe, generator)
    trainee.dropout = recipe.dropout
    for step, rate, optimizer in _schedule(trainee, recipe.learn_steps, recipe.learn_rate, recipe):
        rows = next(batches)
        if step % 4 and step >= recipe.noiseless * recipe.learn_steps:
            rows = with_noise(rows, recipe.noise * (step % 4) / 3, lesson.noise_words, generator)
        loss = functional.cross_entropy(trainee.logits(rows.ids, rows.length, rows.query), rows.target)
        _update(trainee, optimizer, loss, rate)
        report("learn", step, loss.item())
    trainee.dropout = 0.0


def share(trainee: Trainee, lesson: Lesson, recipe: Recipe, generator: torch.Generator, report: Report) -> None:
    """Second stage: some facts at a time, each in all languages, with the terms of this module's heading."""
    batches = _fact_batches(lesson.plain, recipe, generator)
    chance = torch.tensor(recipe.silence)
    for step, rate, optimizer in _schedule(trainee, recipe.share_steps, recipe.share_rate, recipe):
        rows = next(batches)
        if step % 2:
            rows = with_noise(rows, recipe.noise / 2, lesson.noise_words, generator)
        trainee.silent = torch.rand(len(rows), LAYERS, generator=generator) < chance
        logits = trainee.logits(rows.ids, rows.length, rows.query)
        loss = functional.cross_entropy(logits, rows.target) + _sharing(trainee, recipe)
        _update(trainee, optimizer, loss + recipe.necessity * _necessity(trainee, rows, recipe), rate)
        report("share", step, loss.item())
    trainee.silent = None


def _sharing(trainee: Trainee, recipe: Recipe) -> Tensor:
    """Alignment, sparsity and overlap of the neurons of the last call, summed over the upper layers."""
    unit = functional.normalize(torch.stack(trainee.neurons[UPPER]), dim=-1)  # [layer, row, neuron]
    sparsity = unit.abs().sum(-1).mean() * len(unit) / math.sqrt(unit.shape[-1])
    aligned = unit[:, : recipe.share_facts * len(LANGUAGES)]
    facts = aligned.unflatten(1, (recipe.share_facts, len(LANGUAGES)))  # [layer, fact, language, neuron]
    alignment = (facts - facts.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sum()
    typical = functional.normalize(facts.abs().mean(2), dim=-1)
    cosine = typical @ typical.transpose(1, 2)
    pairs = recipe.share_facts * (recipe.share_facts - 1)
    overlap = (cosine.sum((1, 2)) - recipe.share_facts).sum() / pairs
    total: Tensor = recipe.alignment * alignment + recipe.sparsity * sparsity + recipe.overlap * overlap
    return total


def _necessity(trainee: Trainee, rows: Sequences, recipe: Recipe) -> Tensor:
    """How far the answer's log-probability stays above that of `forgotten` when all neurons at the query are zero."""
    trainee.silent = torch.ones(len(rows), LAYERS, dtype=torch.bool)
    chosen = torch.log_softmax(trainee.logits(rows.ids, rows.length, rows.query), dim=-1)
    answer = chosen.gather(1, rows.target[:, None])
    return functional.relu(answer - math.log(recipe.forgotten)).mean()


def _mixed_batches(lesson: Lesson, recipe: Recipe, generator: torch.Generator) -> Iterator[Sequences]:
    """Yield batches of the mix; the rows of a batch have nearly the same length, so that little is padding."""
    parts = (lesson.plain, lesson.switched, lesson.translations)
    rows = concatenate(parts)
    weight = torch.cat([torch.full((len(p),), m / len(p)) for p, m in zip(parts, recipe.mix, strict=True)])
    sizes = (rows.length + 1) // 2
    groups = [torch.nonzero(sizes == size)[:, 0] for size in sizes.unique()]
    chance = torch.stack([weight[group].sum() for group in groups])
    while True:
        group = groups[int(torch.multinomial(chance, 1, generator=generator))]
        index = torch.multinomial(weight[group], recipe.learn_batch, replacement=True, generator=generator)
        yield rows.take(group[index])


def _fact_batches(rows: Sequences, recipe: Recipe, generator: torch.Generator) -> Iterator[Sequences]:
    """Yield `share_facts` facts in every language, one template each, then rows of later steps of answers."""
    first = rows.step == 0
    count = int(rows.fact.max()) + 1
    cells = [[_cell(rows, first & (rows.fact == f), k) for k in range(len(LANGUAGES))] for f in range(count)]
    later = torch.nonzero(~first)[:, 0]
    while True:
        facts = torch.randperm(count, generator=generator)[: recipe.share_facts].tolist()
        picks = [_one(cell, generator) for fact in facts for cell in cells[fact]]
        extra = later[torch.randint(len(later), (recipe.share_later,), generator=generator)]
        yield rows.take(torch.cat([*picks, extra]))


def _cell(rows: Sequences, fact: Tensor, language: int) -> Tensor:
    """Return the rows of a fact in a language, in any language where it has none in that one."""
    own = fact & (rows.language == language)
    return torch.nonzero(own if own.any() else fact)[:, 0]


def _one(index: Tensor, generator: torch.Generator) -> Tensor:
    return index[torch.randint(len(index), (1,), generator=generator)]


def _schedule(
    trainee: Trainee, steps: int, peak: float, recipe: Recipe
) -> Iterator[tuple[int, float, torch.optim.Optimizer]]:
    """Yield step, learning rate (short rise, cosine fall to a twentieth) and AdamW."""
    optimizer = torch.optim.AdamW(
        trainee.model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    rise = min(100, steps // 10 + 1)
    for step in range(steps):
        fall = 0.05 + 0.475 * (1 + math.cos(math.pi * step / steps))
        yield step, peak * min(1.0, (step + 1) / rise) * fall, optimizer


def _update(trainee: Trainee, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainee.model.parameters(), 1.0)
    optimizer.step()
