"""The job of `atlas check`: judge claims by a relation's neurons, or evaluate such judgements (METHOD 6)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

import atlas
from atlas.errors import StoreError, UsageError
from atlas.ids import stable_id
from atlas.matching import option
from atlas.running import choice
from atlas.running.choice import NeuronsChoice, runs_of
from atlas.running.progress import Progress
from atlas.store.doubts import doubts
from atlas.store.naming import language_of, relation_of, some_codes
from atlas.store.runs import UNION, stored_runs, stored_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.attribution import Settings
    from atlas.checking.evaluation import ClaimEvaluation
    from atlas.checking.journal import Journal
    from atlas.checking.known_claims import Claims, KnownClaim, World
    from atlas.checking.neurons import Sets
    from atlas.checking.signals import Asked, Signals
    from atlas.facts import Fact
    from atlas.models import LanguageModel
    from atlas.store import Writer


@dataclass(frozen=True)
class CheckOptions(NeuronsChoice):
    """With which model and whose neurons to judge.

    `source` is the method whose run names the neurons, or `union`, `at` their position. DKN are those of knock-outs by
    `replace`. Claims are put in `templates` templates at most.
    """

    templates: int = 2
    seed: int = 0


@dataclass
class Session:
    """An atlas and its model, ready to judge: facts, relations' neurons, and the settings to attribute with."""

    options: CheckOptions
    progress: Progress
    writer: "Writer"
    model: "LanguageModel"
    run: int
    world: "World"
    neurons: "Mapping[str, Sets]"
    settings: "Settings"
    journals: "list[Journal]" = field(default_factory=list)

    @property
    def causal(self) -> bool:
        """True for a causal model, which needs templates that end in the object."""
        return self.model.kind == "causal"

    @property
    def number_type(self) -> list[str]:
        """What the model computes in, where it is not float32: claims that are judged in it are others."""
        dtype = str(self.model.dtype).removeprefix("torch.")
        return [] if dtype == "float32" else [dtype]

    def signals(self, claims: Sequence["Asked"]) -> list["Signals"]:
        """Return the signals of each claim, showing progress in prompts; what was read before is in the journal."""
        from atlas.checking.journal import Journal
        from atlas.checking.signals import batches, read_signals

        read_by = (self.run, self.settings.model_dump(mode="json"), *self.number_type)
        journal = Journal.of(self.options.db, claims, *read_by)
        self.journals.append(journal)
        parts = list(batches(claims))
        sizes = [sum(len(claim.prompts) for claim in part) for part in parts]
        before = len(journal.kept)
        with self.progress.counting(sum(sizes), "prompts", sum(sizes[:before])):
            for part, size in zip(parts[before:], sizes[before:], strict=True):
                journal.add(read_signals(self.model, part, self.settings, self.options.bytes))
                self.progress.advance(size)
        return [signals for kept in journal.kept for signals in kept]

    def load(self, **tables: "pa.Table") -> None:
        """Load what came of the signals that were read, which need not be kept any longer."""
        for name, rows in tables.items():
            self.writer.load(name, rows)
        while self.journals:
            self.journals.pop().remove()

    def claims(self, facts: "Sequence[Fact]", languages: Sequence[str], conditions: Sequence[str]) -> "Claims":
        """Return true and wrong claims of `facts`, put as the options say."""
        from atlas.checking.known_claims import make_cases

        count, seed = self.options.templates, self.options.seed
        return make_cases(self.world, facts, languages, conditions, causal=self.causal, count=count, seed=seed)

    def of_cases(self, cases: Sequence["KnownClaim"]) -> list["Signals"]:
        """Return the signals of evaluation claims, read at all neurons of their relations."""
        from atlas.checking.signals import Asked

        return self.signals([Asked(case.prompts, self.neurons[case.fact.relation]) for case in cases])


@contextmanager
def opened(options: CheckOptions, progress: Progress | None) -> Iterator[Session]:
    """Open the atlas, load the model and read the relations' neurons.

    Raises UsageError, with the command that helps, for an atlas without the run or without any neurons, StoreError
    where there is no atlas.
    """
    from atlas.checking.neurons import read_world, relation_neurons

    progress = progress or Progress()
    with choice.opened(options, progress) as (writer, options, model):
        info = model.info
        run = runs_of(writer, options, model, options.source)[0]
        progress.step("reading the neurons of relations")
        neurons = relation_neurons(
            writer, run, options.definition, info.layers, info.neurons, options.seed, options.replace
        )
        if not neurons:
            raise UsageError(
                f"{options.db} has no neurons of a relation in run {run} by definition {options.definition!r}; "
                f"`atlas build` and `atlas knockout --model {quote(str(options.model))} --db {quote(str(options.db))}` "
                "find them."
            )
        for text in doubts(writer, run, options.definition):
            progress.warn(text)
        settings = _settings(writer, run, options)
        session = Session(options, progress, writer, model, run, read_world(writer), neurons, settings)
        try:
            yield session
        except UsageError:
            session.load()  # no verdicts come of what was read for claims that are refused
            raise


def _settings(writer: "Writer", run: int, options: CheckOptions) -> "Settings":
    """Return the settings that the run's neurons were scored with; a union's claims are scored with the default's."""
    from atlas.attribution import Settings

    if options.source == UNION:
        return Settings(at=options.at)
    (row,) = stored_runs(writer, lambda each: each.run == run)
    try:
        known = {key: value for key, value in stored_settings(row).items() if key in Settings.model_fields}
        return Settings(**(known | {"method": row.method, "seed": row.seed}))
    except ValueError as error:
        raise StoreError(f"Run {run} has settings that no build writes ({error}); build it again.") from error


def evaluate_claims(
    options: CheckOptions,
    languages: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[int, "ClaimEvaluation", Mapping[str, int]]:
    """Judge true and wrong claims of the atlas's facts by every evidence, and store them.

    Returns their id, the verdicts, and how many facts in a language gave no claims, by the reason.
    """
    from atlas.checking.conditions import CONDITIONS
    from atlas.checking.evaluation import check_split, evaluate
    from atlas.checking.neurons import without_neurons
    from atlas.checking.rows import claim_table, verdict_table

    asked = list(dict.fromkeys(option("--conditions", name, CONDITIONS) for name in conditions or CONDITIONS))
    with atlas.open(options.db) as reader:
        relations, languages = some_codes(reader, relations, relation_of), some_codes(reader, languages, language_of)
    with opened(options, progress) as session:
        known = [fact for fact in session.world.facts if fact.relation in session.neurons]
        facts = [fact for fact in known if not relations or fact.relation in relations]
        _check_known("relations", relations, {fact.relation for fact in known})
        _check_known("languages", languages, {code for fact in known for code in fact.labels})
        spoken = sorted({code for fact in facts for code in fact.labels if not languages or code in languages})
        claims = session.claims(_spread(facts, limit), spoken, asked)
        bare = {} if relations else without_neurons(session.writer, session.run, session.neurons, languages or ())
        cases, left_out = claims.cases, {**bare, **claims.left_out}
        check_split(cases, left_out)
        found = evaluate(cases, session.of_cases(cases), spoken, options.seed)
        sets = {name: sorted([*key, list(n)] for key, n in own.items()) for name, own in session.neurons.items()}
        identity = stable_id(
            "evaluation", session.run, options.definition, options.seed, sets, [case.id for case in cases],
            *filter(None, [options.replace]), *session.number_type,
        )  # fmt: skip
        verdicts = verdict_table(identity, session.run, cases, found.verdicts)
        session.load(claim=claim_table(cases), verdict=verdicts)
        return identity, found, left_out


def _check_known(kind: str, asked: Sequence[str] | None, known: Collection[str]) -> None:
    """Raise UsageError for a relation or language of which the run has no neurons."""
    if wrong := sorted(set(asked or ()) - set(known)):
        raise UsageError(f"The run has no neurons for {kind} {', '.join(wrong)}; it has {', '.join(sorted(known))}.")


def _spread(facts: Sequence["Fact"], limit: int | None) -> "list[Fact]":
    """Return at most `limit` facts, in turn from every relation, in their order."""
    turns: dict[str, int] = {}
    ordered = []
    for place, fact in enumerate(facts):
        turns[fact.relation] = turns.get(fact.relation, 0) + 1
        ordered.append((turns[fact.relation], place))
    kept = {place for _, place in sorted(ordered)[: limit or None]}
    return [fact for place, fact in enumerate(facts) if place in kept]
