"""Making one edit: find what to add to the columns, put it in, look what it did, take it out again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from atlas.editing.requests import Target
from atlas.editing.settings import EditSettings
from atlas.editing.sources import Choice
from atlas.engine.answers import Case, Measured, measure
from atlas.engine.batches import Budget
from atlas.errors import UsageError
from atlas.models import LanguageModel
from atlas.store.stored import Prompts


@dataclass(frozen=True)
class Made:
    """An edit with what it did (columns of `edit_outcome`), the share of its prompts that the model knew before, and
    how the fit ended. One that did not converge has no outcomes. `questions` are those measured, `said` the answers.
    """

    edit: Edit
    known: float
    fit: Fit
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    said: list[Measured] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """True if the new answer leads in every prompt that was fitted; always for `kn`, which fits nothing."""
        return self.fit.converged

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
            f"Model {model.info.name!r} answers {known:.0%} of the prompts of <{target.fact.subject}, "
            f"{target.fact.relation}, {target.fact.object}> rightly: it does not know the fact; use --force to edit it "
            f"all the same."
        )
    choice, index, fit = _first_to_converge(model, around, choices, settings)
    edit = _edit(model, target, choice, index, fit.delta, settings, run)
    if not fit.converged:
        return Made(edit, known, fit)
    rows, said = outcomes(model, around.questions, edited(model, edit), memory, generate)
    return Made(edit, known, fit, rows, around.questions, said)


def _first_to_converge(
    model: LanguageModel, around: EditPrompts, choices: Sequence[Choice], settings: EditSettings
) -> tuple[Choice, Index, Fit]:
    """Return the first choice whose fit converges, else the one that came nearest."""
    tried: list[tuple[Choice, Index, Fit]] = []
    find = import_module(METHODS[settings.method]).prepare(model, around, settings)
    for choice in choices:
        index = index_of(model, choice.neurons)
        tried.append((choice, index, find(index)))
        if tried[-1][2].converged:
            break
    return max(tried, key=lambda t: (t[2].converged, t[2].lead))


def _edit(
    model: LanguageModel,
    target: Target,
    choice: Choice,
    index: Index,
    delta: Columns,
    settings: EditSettings,
    run: int | None,
) -> Edit:
    before = read_columns(model, index)
    record = EditRecord(
        model=model.info.name,
        digest=model.info.digest,
        digest_after=digest_with(model, index, before, delta),
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
        traits=traits(model),
    )
    cpu = [{layer: tensor.cpu() for layer, tensor in part.items()} for part in (index, before, delta)]
    return Edit(record, *cpu)
