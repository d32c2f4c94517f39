"""Making one edit: find what to add to the columns, put it in, look what it did, take it out again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from atlas.attribution.traits import traits
from atlas.editing import METHODS
from atlas.editing.applying import digest_with, edited
from atlas.editing.columns import Columns, Index, index_of, read_columns
from atlas.editing.files import Edit, EditRecord
from atlas.editing.fitting import Fit
from atlas.editing.outcomes import Question, outcomes, retained
from atlas.editing.prompts import EditPrompts, prompts_around
from atlas.editing.requests import EditSettings, Target
from atlas.editing.sources import Choice
from atlas.engine.answers import Case, Measured, measure
from atlas.engine.batches import Budget
from atlas.errors import UsageError
from atlas.ids import stable_id
from atlas.models import LanguageModel
from atlas.store.stored import Prompts


@dataclass(frozen=True)
class Made:
    """An edit with what it did (columns of `edit_outcome`), the share of its prompts that the model knew before, and
    how the fit ended. One that did not converge has no outcomes. `questions` are those measured, `said` the answers.

    `tried` are the ids of the edits at other choices of neurons that did not converge, `around` is that of all prompts.
    """

    edit: Edit
    known: float
    fit: Fit
    tried: tuple[int, ...]
    around: int
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    said: list[Measured] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """True if the new answer leads in every prompt that was fitted; always for `kn`, which fits nothing."""
        return self.fit.converged

    def within(self, model: LanguageModel, budget: int | None = None) -> "Made":
        """Return it with what the `model` says that it was put into."""
        cases = [Case(question.asked) for question in self.questions]
        return replace(self, said=measure(model, cases, budget=Budget.of(model, budget)))

    def retained(self, model: LanguageModel, budget: int | None = None) -> list[dict[str, Any]]:
        """Return rows of the measure `retention`: the edited prompts asked again of the `model` as it is now."""
        own = zip(self.questions, self.said, self.outcomes, strict=True)
        edited = [(question, said, row["known"]) for question, said, row in own if question.measure == "efficacy"]
        return retained(model, edited, Budget.of(model, budget))


def make_edit(
    model: LanguageModel,
    target: Target,
    prompts: Prompts,
    choices: Sequence[Choice],
    settings: EditSettings,
    *,
    run: int | None = None,
    force: bool = False,
    budget: int | None = None,
    generate: int = 0,
) -> Made:
    """Find an edit and measure it, with a `budget` of memory for activations in bytes; the model is left as it was.

    With `generate` a causal model then writes that many tokens after the edited prompts and those that must stay. The
    choices of neurons are tried in turn until one converges. Raises UsageError for a fact that the model gives a wrong
    answer to in most of the prompts, unless `force`, ModelError and TokenError for prompts and objects that the model
    cannot use.
    """
    around = prompts_around(model, target, prompts, settings.keep_facts, settings.seed)
    memory = Budget.of(model, budget)
    found = measure(model, [Case(prompt) for prompt in around.old], budget=memory)
    known = sum(answer.argmax for answer in found) / len(found)
    if known <= 0.5 and not force:
        raise UsageError(
            f"Model {model.info.name!r} answers {known:.0%} of the prompts of {target.fact} rightly: it does not know "
            f"the fact; use --force to edit it all the same."
        )
    tried = _until_one_converges(model, around, choices, settings, memory)
    choice, index, fit = max(tried, key=lambda t: (t[2].converged, t[2].lead))
    record_of = recorder(model, target, settings, run)
    edit = _edit(model, record_of(choice), index, fit.delta)
    others = tuple(record_of(one).id for one, _, _ in tried if one is not choice)
    if not fit.converged:
        return Made(edit, known, fit, others, around.id)
    rows, said = outcomes(model, around.questions, edited(model, edit), memory, generate)
    return Made(edit, known, fit, others, around.id, rows, around.questions, said)


def _until_one_converges(
    model: LanguageModel, around: EditPrompts, choices: Sequence[Choice], settings: EditSettings, budget: Budget
) -> list[tuple[Choice, Index, Fit]]:
    """Return the choices with their fits, in turn up to the first that converges."""
    tried: list[tuple[Choice, Index, Fit]] = []
    find = import_module(METHODS[settings.method]).prepare(model, around, settings, budget)
    for choice in choices:
        index = index_of(model, choice.neurons)
        tried.append((choice, index, find(index)))
        if tried[-1][2].converged:
            break
    return tried


def _edit(model: LanguageModel, record: EditRecord, index: Index, delta: Columns) -> Edit:
    before = read_columns(model, index)
    after = digest_with(model, index, before, delta)
    narrow = model.digest() if model.dtype.itemsize < 4 else ""  # digests are of float32, and of stored weights
    cpu = [{layer: tensor.cpu() for layer, tensor in part.items()} for part in (index, before, delta)]
    return Edit(replace(record, digest_after=after, digest_narrow=narrow), *cpu)


def recorder(
    model: LanguageModel, target: Target, settings: EditSettings, run: int | None
) -> Callable[[Choice], EditRecord]:
    """Return what makes the record of an edit at a choice of neurons, before it is known where it leads."""
    own = traits(model)  # once, as a tokenizer's digest is of all its words
    return lambda choice: EditRecord(
        model=model.info.name,
        digest=model.info.digest,
        digest_after="",
        fact=target.fact.id,
        relation=target.fact.relation,
        subject=target.fact.subject,
        old_object=target.fact.object,
        object=target.object,
        labels=dict(target.labels),
        languages=target.languages,
        method=settings.method,
        source=choice.source,
        run=run,
        settings=settings.model_dump(mode="json"),
        traits=own,
        neurons=stable_id("neurons", [list(neuron) for neuron in choice.neurons]),
    )
