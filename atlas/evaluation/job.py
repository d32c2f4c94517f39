"""The evaluation job: scores where missing, interventions on the same facts, rows into the atlas (METHOD 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

import atlas
from atlas import scorers
from atlas.errors import UsageError
from atlas.evaluation import interventions
from atlas.evaluation.interventions import Chosen
from atlas.evaluation.measuring import Measuring
from atlas.evaluation.unrelated import Unrelated
from atlas.facts import Fact, FactSet, Prompt
from atlas.ids import stable_id
from atlas.matching import option
from atlas.running.choice import OpenChoice, replace_of, tell
from atlas.running.progress import Progress
from atlas.running.scores import fill_run
from atlas.store.connection import check_file
from atlas.store.doubts import doubts
from atlas.store.naming import IN_USE, understood
from atlas.store.runs import StoredRun, stored_run
from atlas.store.stored import Prompts, stored_facts, usable_prompts

if TYPE_CHECKING:
    from atlas.engine.replacing import Replacing
    from atlas.models import Position
    from atlas.store import Writer

SCOPES = ("query", "all")
SCORERS = scorers.serving("localisation")
NO_NEURONS = "no neurons in one of the languages under one of the scorers"
NO_UNRELATED = "no fact of another relation and object that can be asked in all the languages"
NO_VALUE = {
    "mean": "no prompts of other relations in a language to take means of",
    "swap": "no other fact of the relation with another object in its templates, to take values of",
}


@dataclass(frozen=True)
class EvaluateOptions(OpenChoice):
    """What is evaluated: facts of the atlas, scorers, and the number of neurons of each.

    `limit` facts are taken, in turn from every relation. `neurons` is the count in the localisation table; in the
    cross-lingual one it is each fact's number of LIKN, under `definition`, in the run of `method`; if that is empty,
    of the default scorer, or of the first of `methods` without it. Suppressed neurons become `replace`. What is left
    open of the model is that of the run in use, and so is `definition` if it is empty.
    """

    db: Path = Path("atlas.duckdb")
    languages: Sequence[str] | None = None
    relations: Sequence[str] | None = None
    limit: int = 40
    methods: Sequence[str] = SCORERS
    method: str = ""
    neurons: int = 10
    definition: str = IN_USE
    scope: str = "query"
    replace: str = "zero"
    seed: int = 0
    at: "Position" = "query"


@dataclass(frozen=True)
class Evaluated:
    """Both tables as Arrow rows of the views, and how many facts each is about; 0 where none has what it needs.

    `left_out` are facts that a table does without, by its name and the reason.
    """

    evaluation: int
    localisation: pa.Table
    cross_lingual: pa.Table
    facts: int
    facts_with_likn: int
    left_out: Mapping[tuple[str, str], Sequence[Fact]]


def evaluate(options: EvaluateOptions, progress: Progress | None = None) -> Evaluated:
    """Measure what localisation is worth and return both tables.

    Scores that a scorer's run lacks are computed first. Raises UsageError where no fact can be evaluated.
    """
    progress = progress or Progress()
    own = scorers.DEFAULT if scorers.DEFAULT in options.methods else options.methods[0]
    scope, method = option("--scope", options.scope, SCOPES), option("--likn-method", options.method or own, SCORERS)
    options = replace(options, scope=scope, method=method, replace=replace_of(options.replace, scope) or "zero")
    check_file(options.db)
    with atlas.open(options.db, "a") as writer:
        options = understood(writer, options)
        job = Job(options, progress, writer, stored_run(writer, model=options.model))
        return job.work()


class Job:
    """One call of `evaluate`, all its parts at hand."""

    replacing: "Replacing | None" = None

    def __init__(self, options: EvaluateOptions, progress: Progress, writer: "Writer", run: StoredRun) -> None:
        from atlas.attribution import Budget

        self.options, self.progress, self.writer = options, progress, writer
        if options.model is None:
            tell(writer, run, options, progress)
        progress.step(f"loading model {run.name}")
        self.dtype = options.dtype or run.dtype
        self.model = options.load_of(run)
        self.budget = Budget.of(self.model, options.bytes)
        self.prompts = Prompts(stored_facts(writer))
        every = writer.sql("SELECT DISTINCT language FROM prompt ORDER BY language")["language"].to_pylist()
        self.languages = tuple(sorted(options.languages or every))
        self.held = self._held()
        self.facts = self._facts()
        self.own = self._usable()
        self.pool: list[int] = []
        self.away = Unrelated(self.held.facts, self.prompts, self.languages, self._askable, options.seed)

    def work(self) -> Evaluated:
        """Return both tables, measured on the facts that have what each needs."""
        options = self.options
        self._check_partners()  # before the scores, which take long
        runs = {name: self.scored(name) for name in dict.fromkeys((*options.methods, options.method))}
        rankings = {run: interventions.ranking(self.writer, run, options.neurons) for run in runs.values()}
        lacking = self.leave_out(rankings) | self._without_unrelated()
        self._check_partners()
        facts = self.facts
        shared = [fact.id for fact in facts]
        listed = {runs[name]: rankings[runs[name]] for name in options.methods}
        wanted = interventions.localisation(
            {**listed, runs[options.method]: rankings[runs[options.method]]},
            runs[options.method], facts, self.languages, options.seed,
        )  # fmt: skip
        crossed = self._cross_lingual(runs[options.method], facts)
        evaluation = stable_id("evaluation", [*runs.values()], *self._identity(), *self._asked(shared, wanted, crossed))
        for text in doubts(self.writer, runs[options.method], options.definition, shared):
            self.progress.warn(text)
        tables = {"localisation": wanted, "cross_lingual": crossed}
        for name, chosen in tables.items():
            self._measuring(evaluation, name.replace("_", "-")).load(chosen)
            chosen.left_out.update(lacking)
        return Evaluated(
            evaluation,
            self._table("localisation", evaluation),
            self._table("cross_lingual", evaluation),
            wanted.facts,
            crossed.facts,
            {(name, why): left for name, chosen in tables.items() for why, left in chosen.left_out.items()},
        )

    def _check_partners(self) -> None:
        """Raise UsageError where no fact has another of its relation to be set beside."""
        partners = (interventions.partner_of(fact, self.facts, self.options.seed) for fact in self.facts)
        if self.facts and not any(partners):
            raise UsageError(
                f"No relation of {self.options.db} has two facts of different objects among the "
                f"{len(self.facts):,} taken; take more facts (--limit), or fewer --relations."
            )

    def leave_out(self, rankings: Mapping[int, interventions.Ranking]) -> dict[str, list[Fact]]:
        """Keep the facts that have what every table needs, and return the others by the reason."""
        shared = interventions.shared_facts(rankings.values(), [fact.id for fact in self.facts], self.languages)
        left = {NO_NEURONS: [fact for fact in self.facts if fact.id not in shared]}
        self.facts = [fact for fact in self.facts if fact.id in shared]
        left |= self._find_values(list(rankings))
        gone = {fact.id for facts in left.values() for fact in facts}
        self.facts = [fact for fact in self.facts if fact.id not in gone]
        found = {why: facts for why, facts in left.items() if facts}
        if not self.facts:
            raise UsageError(
                f"No fact of {self.options.db} can be evaluated in all of {', '.join(self.languages)}: "
                f"{'; '.join(found) or 'there is none'}; choose fewer languages, or take more facts."
            )
        return found

    def _without_unrelated(self) -> dict[str, list[Fact]]:
        """Leave out the facts without unrelated prompts in a language in which others have some, and return them."""
        left = self.away.lacking(self.facts)
        self.facts = [fact for fact in self.facts if fact not in left]
        return {NO_UNRELATED: left} if left else {}

    def _askable(self, prompt: Prompt) -> bool:
        """Return whether the model can use an unrelated prompt, with what suppressed neurons become."""
        from atlas.engine.answers import usable

        return bool(usable(self.model, [prompt], self.options.at)) and self._has_value(prompt)

    @property
    def scope(self) -> str:
        """Where neurons are changed, as the rows name it: the position of the runs, or everywhere."""
        return "all" if self.options.scope == "all" else self.options.at

    def _cross_lingual(self, run: int, facts: Sequence[Fact]) -> Chosen:
        """Return the interventions of the cross-lingual table."""
        likn = interventions.likn_sets(self.writer, run, self.options.definition)
        ranked = interventions.ranking(self.writer, run, max(map(len, likn.values()), default=1))
        shape = self.model.info.layers, self.model.info.neurons
        return interventions.cross_lingual(run, likn, ranked, facts, self.languages, shape, self.options.seed)

    def _identity(self) -> list[object]:
        o = self.options
        values = [] if o.replace == "zero" else [o.replace, *self.pool]
        return [list(self.languages), list(o.methods), o.method, o.neurons, o.definition, self.scope, o.seed, *values]

    def _asked(self, facts: Sequence[int], *tables: Chosen) -> list[object]:
        """Return what is measured: rows of other prompts or neurons, of a larger atlas, are another evaluation's."""
        away = self.unrelated()
        prompts = [[p.id for p in chain(self.own[fact], *away[fact].values())] for fact in facts]
        neurons = [[one.fact, one.languages, one.source, one.neurons] for each in tables for one in each.interventions]
        return [facts, prompts, neurons, [[fact, o.id] for each in tables for fact, o in each.receivers.items()]]

    def _find_values(self, runs: Sequence[int]) -> dict[str, list[Fact]]:
        """Find where suppressed neurons' values come from, the prompts of `runs`, and keep the prompts that have some.

        Returns the facts that have none in some language, by the reason.
        """
        from atlas.engine.replacing import replacing

        options, left = self.options, dict[str, list[Fact]]()
        if options.replace == "zero":
            return left
        prompts = usable_prompts(self.writer, runs, self.progress.warn)
        self.pool = [prompt.id for prompt in prompts]
        rule = self.replacing = replacing(self.model, options.replace, prompts, options.seed, self.budget, options.at)
        assert rule is not None
        for fact in self.facts:
            self.own[fact.id] = [prompt for prompt in self.own[fact.id] if self._has_value(prompt)]
            if {prompt.language for prompt in self.own[fact.id]} < set(self.languages):
                left.setdefault(NO_VALUE[options.replace], []).append(fact)
        return left

    def _facts(self) -> list[Fact]:
        """Return the facts to evaluate, at most `limit`, taken in turn from every relation."""
        from atlas.facts.selection import limited

        wanted = self.options.relations
        kept = [fact for fact in self.held.facts if wanted is None or fact.relation in wanted]
        return list(limited(replace(self.held, facts=kept), self.options.limit).facts)

    def _held(self) -> FactSet:
        """Return the facts that some run has planned, with the templates."""
        planned = set(self.writer.sql("SELECT DISTINCT fact FROM prompt")["fact"].to_pylist())
        every = stored_facts(self.writer)
        return replace(every, facts=[fact for fact in every.facts if fact.id in planned])

    def _usable(self) -> dict[int, list[Prompt]]:
        """Return the prompts of each fact that the model can use."""
        from atlas.engine.answers import usable

        return {
            fact.id: usable(self.model, self.prompts.of(fact, self.languages), self.options.at) for fact in self.facts
        }

    def scored(self, method: str) -> int:
        """Return the run of `method`, with the scores of all facts in it; those that are missing are computed."""
        from atlas.attribution import Settings

        settings = Settings(method=method, seed=self.options.seed, at=self.options.at)
        self.progress.step(f"scoring with {method}")
        return fill_run(self.writer, self.model, self.own.values(), settings, self.dtype, self.budget, self.progress)

    def _measuring(self, evaluation: int, purpose: str) -> Measuring:
        """Return what measures a table of the evaluation."""
        away = {fact.id: self.away.askable(fact) for fact in self.facts}
        row = {"evaluation": evaluation, "purpose": purpose, "replace": self.options.replace}
        return Measuring(
            self.writer, self.progress, self.model, self.budget, self.own, away, row, self.options.scope,
            self.options.at, self.replacing, self.options.seed,
        )  # fmt: skip

    def _has_value(self, prompt: Prompt) -> bool:
        return self.replacing is None or self.replacing.reason(prompt) is None

    def unrelated(self) -> dict[int, dict[str, list[Prompt]]]:
        """Return for every fact the prompts of an unrelated one, by language, from all that the atlas holds."""
        return {fact.id: self.away.of(fact) for fact in self.facts}

    def _table(self, view: str, evaluation: int) -> pa.Table:
        return self.writer.sql(f"FROM {view} WHERE evaluation = ? ORDER BY ALL", [evaluation])
