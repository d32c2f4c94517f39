"""The job of `atlas study`: build, knock-outs, evaluations, checks and edits on one atlas, then what they say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import atlas
from atlas import scorers
from atlas.building.job import BuildOptions, build
from atlas.checking.job import CheckOptions, evaluate_claims
from atlas.errors import UsageError, counted
from atlas.evaluation.job import EvaluateOptions, evaluate
from atlas.facts.leftover import by_reason
from atlas.knockouts.job import KnockoutOptions, knockout
from atlas.running.choice import ModelChoice
from atlas.running.progress import Progress
from atlas.running.stopping import go_on
from atlas.schema import REPLACES
from atlas.study.claims import CLAIMS, Claim, Finding, judge
from atlas.study.editing import CONTROLS, edit_step
from atlas.study.ledger import NAME, Ledger

METHODS = (scorers.DEFAULT, "kn", "activation", "random")
"""The scorer that is studied, and those that stand beside it in the localisation tables."""
_MEASURED = {"zero": "evaluate zero", "swap": "evaluate swap", "check": "check", "dkn": "knockout"}
"""The steps that measure what claims need, but for those of the build and of edits."""
Found = dict[str, Any]


@dataclass(frozen=True)
class StudyOptions(ModelChoice):
    """What is studied, with which model and scorer, and the folder `out` of atlas and pages.

    `limit` facts are taken at most, with `known` of those alone that the model knows in every one of `languages`,
    `ask` and `examples` as a build takes them. The first of `methods` is the scorer whose neurons are studied.
    `replaces` are what cut neurons become, an evaluation each; `edits` facts are edited.
    """

    dataset: str = "bundled"
    languages: Sequence[str] | None = None
    relations: Sequence[str] | None = None
    limit: int = 40
    known: bool = False
    ask: bool = False
    examples: int | None = None
    out: Path = Path("study")
    methods: Sequence[str] = METHODS
    replaces: Sequence[str] = REPLACES
    edits: int = 10
    seed: int = 0

    @property
    def db(self) -> Path:
        """The study's atlas."""
        return self.out / "study.duckdb"

    @property
    def method(self) -> str:
        """The scorer whose neurons are studied."""
        return self.methods[0]


@dataclass(frozen=True)
class Study:
    """A study that is done as far as `left` says, the steps to come; `done` is what each step gave."""

    options: StudyOptions
    done: dict[str, Found]
    left: Sequence[str]

    @property
    def run(self) -> int:
        """The run whose neurons are studied."""
        return int(self.done["build"]["run"])

    @property
    def evaluations(self) -> list[int]:
        """The evaluations of the steps that are done; the atlas may hold others, and the beginning of the next."""
        return [int(found["evaluation"]) for found in self.done.values() if "evaluation" in found]

    @property
    def edits(self) -> list[int]:
        """The edits of the steps that are done; a user may have made others of the same atlas."""
        return [int(edit) for found in self.done.values() for edit in found.get("edits", ())]

    def gave(self, step: str) -> Found | None:
        """Return what a step gave, None if it is not done; the atlas may hold its beginning."""
        found = self.done.get(step)
        return None if found is None or "failed" in found else found

    @property
    def cuts(self) -> list[str]:
        """What the study went without, a sentence each."""
        steps = self.done.items()
        failed = [f"{name}: not done. {found['failed']}" for name, found in steps if "failed" in found]
        return [*failed, *(f"{name}: {text}" for name, found in steps for text in found.get("cut", ()))]

    def findings(self, opened: atlas.Atlas) -> Iterator[Finding]:
        """Yield the verdict on every claim from the rows of the study's atlas."""
        for claim in CLAIMS:
            yield judge(claim, self._rows(opened, claim), self.options.seed)

    def _rows(self, opened: atlas.Atlas, claim: Claim) -> list[dict[str, Any]]:
        """Return the rows of a claim, none where the step that measures them was not done."""
        found = self.gave(_MEASURED.get(claim.needs, "build"))
        if found is None:
            return []
        evaluation = int(found.get("evaluation", 0))
        values = {"run": self.run, "evaluation": evaluation, "check": evaluation, "edits": self.edits}
        bound = {name: value for name, value in values.items() if f"${name}" in claim.query}
        rows: list[dict[str, Any]] = opened.sql(f"FROM ({claim.query}) ORDER BY ALL", bound).to_pylist()
        return rows


def study(options: StudyOptions, progress: Progress | None = None) -> Study:
    """Do the steps that the folder does not hold yet, and return what they gave.

    Safe to cut off at any moment and to call again: a step that was cut off begins with what the atlas holds. A step
    that cannot be done says why and the others go on; the next call tries it again. Raises UsageError for a
    folder of another study, and whatever keeps a build from its end.
    """
    progress, ledger = progress or Progress(), _ledger(options)
    names = list(steps := _steps(options, ledger, progress))
    for place, (name, work) in enumerate(steps.items()):
        if name not in ledger.done or "failed" in ledger.done[name]:
            progress.step(f"study, step {place + 1} of {len(names)}: {name}")
            if (found := _found(name, work)) is None:
                return Study(options, ledger.done, [name, *(n for n in names[place + 1 :] if n not in ledger.done)])
            ledger.add(name, found)
    return Study(options, ledger.done, ())


def so_far(options: StudyOptions) -> Study:
    """Return the study as its folder holds it, without doing a step.

    Raises UsageError for a folder of another study, or of one whose build is not done.
    """
    ledger = _ledger(options) if (options.out / NAME).exists() else None
    if ledger is None or "run" not in ledger.done.get("build", {}):
        raise UsageError(f"{options.out} holds no study whose build is done; the same command without --page does it.")
    left = [name for name in _steps(options, ledger, Progress()) if name not in ledger.done]
    return Study(options, ledger.done, left)


def _ledger(options: StudyOptions) -> Ledger:
    asked = {k: v for k, v in asdict(options).items() if k not in ("out", "device", "memory", "threads")}
    return Ledger.of(options.out, asked)


def _found(name: str, work: Callable[[], Found | None]) -> Found | None:
    """Return what a step gave with its seconds, or why it cannot be done; None if it was interrupted."""
    started = monotonic()
    try:
        found = work()
    except UsageError as error:
        if name == "build":
            raise
        found = {"failed": str(error)}
    return None if found is None else {**found, "seconds": round(monotonic() - started, 1)}


def _steps(options: StudyOptions, ledger: Ledger, progress: Progress) -> dict[str, Any]:
    """Return the steps by name, in order; one that was interrupted gives None."""
    evaluations = {f"evaluate {word}": partial(_evaluate, options, word, progress) for word in options.replaces}
    return {
        "build": partial(_build, options, progress),
        "knockout": partial(_knockout, options, progress),
        **evaluations,
        "check": partial(_check, options, progress),
        **{f"edit {name}": partial(_edit, options, ledger, name, progress) for name in CONTROLS},
    }


def _build(options: StudyOptions, progress: Progress) -> Found | None:
    summary = build(
        BuildOptions(
            **options.given(), dataset=options.dataset, languages=options.languages, relations=options.relations,
            limit=options.limit, known=options.known, ask=options.ask, examples=options.examples,
            everywhere=options.known, db=options.db, twin=options.seed,
            settings={"method": options.method, "seed": options.seed},
        ),
        progress,
    )  # fmt: skip
    if summary.interrupted:
        return None
    go_on()
    return {"run": str(summary.run), "cut": [f"{n:,} left out: {why}" for why, n, _ in by_reason(summary.skips)]}


def _knockout(options: StudyOptions, progress: Progress) -> Found | None:
    summary = knockout(
        KnockoutOptions(**options.given(), db=options.db, source=options.method, replace="zero", seed=options.seed),
        progress,
    )
    text = f"{summary.without_candidates:,} times a fact had no knowledge neuron in a language"
    if summary.interrupted:
        return None
    go_on()
    return {"cut": [text] if summary.without_candidates else []}


def _evaluate(options: StudyOptions, replace: str, progress: Progress) -> Found:
    found = evaluate(
        EvaluateOptions(
            **options.given(), db=options.db, languages=options.languages, limit=options.limit,
            methods=options.methods, method=options.method, replace=replace, seed=options.seed,
        ),
        progress,
    )  # fmt: skip
    cuts = [f"{table} table: {counted(len(facts), 'fact')}, {why}" for (table, why), facts in found.left_out.items()]
    return {"evaluation": str(found.evaluation), "cut": cuts}


def _check(options: StudyOptions, progress: Progress) -> Found:
    asked = CheckOptions(**options.given(), db=options.db, source=options.method, seed=options.seed)
    identity, _, left = evaluate_claims(asked, conditions=("plain",), limit=options.limit, progress=progress)
    return {
        "evaluation": str(identity),
        "cut": [f"{counted(count, 'fact')} in a language: {why}" for why, count in left.items()],
    }


def _edit(options: StudyOptions, ledger: Ledger, name: str, progress: Progress) -> Found:
    run = int(ledger.done["build"]["run"])
    return edit_step(options, options.db, run, name, options.edits, options.seed, progress)
