"""Interventions put to the model, and the rows of the table `intervention` that come of them (METHOD 4)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from atlas import schema
from atlas.evaluation.interventions import Chosen, Intervention, injected
from atlas.facts import Prompt
from atlas.ids import stable_id
from atlas.running.progress import Progress

if TYPE_CHECKING:
    from atlas.engine.answers import Case
    from atlas.engine.batches import Budget
    from atlas.engine.replacing import Replacing
    from atlas.models import LanguageModel, Position
    from atlas.store import Writer

_SAID = ("run", "fact", "languages", "source", "layers", "neurons", "action", "scope")
"""The columns that say what is done."""

ACTIONS = {"suppress": 0.0, "enhance": 2.0}
PORTION = 2048
"""Cases that are measured and stored together."""
T = TypeVar("T")
Pair = tuple[dict[str, Any], T]
"""A row without its measured columns, and what is put to the model for it."""
Asked = tuple[dict[str, Any], "Case"]


@dataclass(frozen=True)
class Measuring:
    """Measures one table of an evaluation.

    `own` and `away` are the prompts of each fact and, by language, of an unrelated one; `row` is what all rows say.
    Neurons are changed at the position `at`, or everywhere by `scope`; suppressed ones become what `replacing` has.
    """

    writer: "Writer"
    progress: Progress
    model: "LanguageModel"
    budget: "Budget"
    own: Mapping[int, Sequence[Prompt]]
    away: Mapping[int, Mapping[str, Sequence[Prompt]]]
    row: Mapping[str, Any]
    scope: Any
    at: "Position"
    replacing: "Replacing | None"
    seed: int

    def load(self, chosen: Chosen) -> None:
        """Load the rows that the atlas lacks, of interventions and of values put into other prompts."""
        self._change(chosen.interventions)
        self._inject(chosen)

    def _change(self, wanted: Sequence[Intervention]) -> None:
        from atlas.engine.answers import Case, measure

        others = (group for languages in self.away.values() for group in languages.values())
        prompts = {p.id: p for p in chain(*self.own.values(), *others)}
        self.writer.add_prompts(prompts.values())
        self.progress.step(f"measuring the {self.row['purpose']} table")
        rows = list(self._rows(wanted))
        lacking = self._lacking(rows)
        plain = prompts if lacking else {}
        found = measure(self.model, [Case(p) for p in plain.values()], budget=self.budget)
        before = dict(zip(plain, found, strict=True))
        with self._counting(rows, lacking):
            for part in lacking:
                valued = self._valued(part)
                after = measure(self.model, [case for _, case in valued], self.scope, self.budget, self.at)
                self._store(
                    [row | before[case.prompt.id].beside(now) for (row, case), now in zip(valued, after, strict=True)]
                )

    def _inject(self, chosen: Chosen) -> None:
        """Put the values of neurons into other facts' prompts (METHOD 4, *inject*)."""
        from atlas.evaluation.injecting import injections, put_in

        shape = self.model.info.layers, self.model.info.neurons
        self.progress.step(f"putting values into other facts' prompts for the {self.row['purpose']} table")
        rows = [
            (self._named(one.of, "inject", self.at) | {"prompt": one.receiver.id, "related": True}, one)
            for one in injections(self.model, injected(chosen, shape, self.seed), chosen.receivers, self.own, self.at)
        ]
        lacking = self._lacking(rows)
        with self._counting(rows, lacking):
            for part in lacking:
                found = put_in(self.model, [one for _, one in part], self.budget, self.at)
                self._store([row | before.beside(after) for (row, _), (before, after) in zip(part, found, strict=True)])

    def _lacking(self, rows: Sequence[Pair[T]]) -> list[Sequence[Pair[T]]]:
        """Return the portions of `rows` of which the atlas lacks some.

        A portion is measured as a whole, so that its numbers are the same to the bit however often it was stopped.
        """
        query = "SELECT intervention, prompt FROM intervention WHERE evaluation = ? AND purpose = ?"
        there = self.writer.sql(query, [self.row["evaluation"], self.row["purpose"]])
        held = set(zip(there["intervention"].to_pylist(), there["prompt"].to_pylist(), strict=True))
        portions = (rows[start : start + PORTION] for start in range(0, len(rows), PORTION))
        return [part for part in portions if any((row["intervention"], row["prompt"]) not in held for row, _ in part)]

    def _counting(self, rows: Sequence[Pair[T]], lacking: Sequence[Sequence[Pair[T]]]) -> AbstractContextManager[None]:
        return self.progress.counting(len(rows), "interventions", len(rows) - sum(map(len, lacking)))

    def _store(self, rows: Sequence[dict[str, Any]]) -> None:
        self.writer.load("intervention", schema.rows_of("intervention", rows))
        self.progress.advance(len(rows))

    def _valued(self, part: Sequence[Asked]) -> Sequence[Asked]:
        """Return rows and cases with what suppressed neurons become, where that is not zero."""
        from atlas.engine.replacing import gathered

        if self.replacing is None:
            return part
        cut = [case for row, case in part if row["action"] == "suppress"]
        values = iter(gathered(self.replacing.values, [(case.prompt, case.neurons) for case in cut]))
        return [
            (row, replace(case, values=next(values)) if row["action"] == "suppress" else case) for row, case in part
        ]

    def _rows(self, wanted: Sequence[Intervention]) -> Iterator[Asked]:
        """Yield what is put to the model, as rows of `intervention` without the measured columns, and as cases."""
        from atlas.engine.answers import Case

        scope = "all" if self.scope == "all" else self.at
        for intervention in wanted:
            for action, factor in ACTIONS.items():
                row = self._named(intervention, action, scope)
                for prompt in self.own[intervention.fact]:
                    if prompt.language in intervention.measured:
                        yield {**row, "prompt": prompt.id, "related": True}, Case(prompt, intervention.neurons, factor)
                for code in intervention.measured:
                    for other in self.away[intervention.fact].get(code, ()):
                        yield {**row, "prompt": other.id, "related": False}, Case(other, intervention.neurons, factor)

    def _named(self, of: Intervention, action: str, scope: str) -> dict[str, Any]:
        """Return the columns that say what is done; the id is of all of them."""
        layers, neurons = ([n[i] for n in of.neurons] for i in (0, 1))
        languages = list(of.languages)
        what = (of.run, of.fact, languages, of.source, layers, neurons, action, scope)
        return {
            **self.row,
            "intervention": stable_id("intervention", self.row["evaluation"], self.row["purpose"], *what),
            **dict(zip(_SAID, what, strict=True)),
        }
