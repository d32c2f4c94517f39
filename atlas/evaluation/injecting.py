"""Sufficiency (METHOD 4): the values of a fact's neurons put into prompts of another fact of its relation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.engine.answers import Case, Measured, measure, usable
from atlas.engine.batches import Budget
from atlas.engine.replacing import Keep, gathered, values_of
from atlas.evaluation.interventions import Intervention
from atlas.facts import Fact, Label, Prompt
from atlas.models import LanguageModel, Position


@dataclass(frozen=True, slots=True)
class Injection:
    """Values of `neurons` in the prompts `sources`, to be put into `prompt`, where the injected fact's object is asked.

    `of` says which neurons these are, `receiver` is the receiving fact's own prompt in the same template.
    """

    of: Intervention
    receiver: Prompt
    prompt: Prompt
    sources: tuple[Prompt, ...]


def injections(
    model: LanguageModel,
    wanted: Iterable[Intervention],
    receivers: Mapping[int, Fact],
    own: Mapping[int, Sequence[Prompt]],
    at: Position,
) -> Iterator[Injection]:
    """Yield what is put where: for each of `wanted`, the usable prompts of its receiver in the languages measured.

    `own` are the usable prompts of each fact. In the language that the values come from they are those of the same
    template; in another one their mean over all of the fact's prompts there.
    """
    known: dict[tuple[int, int], list[Prompt]] = {}
    for of in wanted:
        (code,) = of.languages
        for receiver in own[receivers[of.fact].id]:
            given = [p for p in own[of.fact] if p.language == code and _fits(p, receiver)]
            if given and receiver.language in of.measured:
                key = of.fact, receiver.id
                if key not in known:
                    known[key] = usable(model, [asked(given[0].fact, receiver)], at)
                yield from (Injection(of, receiver, prompt, tuple(given)) for prompt in known[key])


def asked(fact: Fact, receiver: Prompt) -> Prompt:
    """Return the receiver's prompt with the object of `fact` as the answer that is looked for."""
    subject, answer = (given.labels[receiver.language] for given in (receiver.fact, fact))
    label = {receiver.language: Label(subject.subject, answer.object)}
    return Prompt(Fact(fact.relation, receiver.fact.subject, fact.object, label), receiver.template)


def put_in(
    model: LanguageModel, wanted: Sequence[Injection], budget: Budget, at: Position
) -> list[tuple[Measured, Measured]]:
    """Measure each injection: what the model says of the injected fact's object before, and with the values put in."""
    prompts = {injection.prompt.id: injection.prompt for injection in wanted}
    before = dict(zip(prompts, measure(model, [Case(p) for p in prompts.values()], budget=budget, at=at), strict=True))
    values = _values(model, wanted, budget, at)
    cases = [Case(one.prompt, one.of.neurons, 0.0, given) for one, given in zip(wanted, values, strict=True)]
    after = measure(model, cases, budget=budget, at=at)
    return [(before[one.prompt.id], found) for one, found in zip(wanted, after, strict=True)]


def _values(model: LanguageModel, wanted: Sequence[Injection], budget: Budget, at: Position) -> Iterator[Tensor]:
    """Yield the values of each injection, `[step, neuron]`: step by step in the same language, else their mean."""

    def read(prompts: Sequence[Prompt], keep: Keep) -> list[Tensor]:
        return values_of(model, prompts, keep, budget, at)

    flat = iter(gathered(read, [(source, one.of.neurons) for one in wanted for source in one.sources]))
    for one in wanted:
        found = [next(flat) for _ in one.sources]
        own = one.sources[0].language == one.prompt.language
        yield found[0] if own else torch.stack([steps.mean(0) for steps in found]).mean(0)[None]


def _fits(source: Prompt, receiver: Prompt) -> bool:
    return source.language != receiver.language or source.template == receiver.template
