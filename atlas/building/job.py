"""The main job: attribute a selection of facts with a model and store the rows in an atlas."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import atlas
from atlas import scorers
from atlas.building.computing import Tables, Twin, Worker, WorkerOptions
from atlas.building.found import look
from atlas.building.known import known_facts
from atlas.building.names import spell_names
from atlas.building.neurons import describe_neurons, name_neurons
from atlas.building.plan import EVERYTHING, Plan, Shard, batch_size, make_plan, missing, prompts_of
from atlas.building.ray import Cluster, ClusterOptions
from atlas.building.summary import Summary
from atlas.errors import AtlasError, UsageError
from atlas.facts import bundled
from atlas.running.choice import ModelChoice
from atlas.running.progress import Progress
from atlas.running.scores import AtHand, begin_run
from atlas.running.settings import checked
from atlas.running.stopping import go_on, orderly_stop
from atlas.running.work import Batch
from atlas.store.forgetting import begin_again
from atlas.store.meeting import met

if TYPE_CHECKING:
    from atlas.attribution import Settings
    from atlas.store import Writer

SAMPLE = 60
"""Facts of the bundled set that a build takes without a limit, its examples among them; others are taken whole."""


@dataclass(frozen=True)
class BuildOptions(ModelChoice):
    """What to attribute, with which model and method, and where the rows go.

    `limit` None takes the stated sample of the bundled facts and all of any other data set, 0 takes all.
    `sample_seed` says which of equals a limit takes; `known` takes those alone that the model knows, see
    `known_facts`: in some language, or with `everywhere` in every one of `languages`. `ask` and `examples` put
    templates otherwise, see `atlas.facts.wording`. `threads` None is 1 for each worker of Ray. `shard` is the part of
    the plan to compute; `cluster` says where Ray does it, None is this process. `settings` are fields of
    `atlas.attribution.Settings`. `twin` is the seed of an untrained twin that is put to the same prompts once the
    model's own run is whole. `again` takes out first what the run holds, and what was measured of its neurons.
    """

    dataset: str = bundled.SOURCE
    languages: Sequence[str] | None = None
    relations: Sequence[str] | None = None
    limit: int | None = None
    sample_seed: int = 0
    known: bool = False
    ask: bool = False
    examples: int | None = None
    everywhere: bool = False
    skip_bad: bool = False
    db: Path = Path("atlas.duckdb")
    shard: Shard = EVERYTHING
    cluster: ClusterOptions | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    twin: int | None = None
    again: bool = False

    @property
    def is_default(self) -> bool:
        """Whether model, facts and scorer are those of a build that is told nothing of them."""
        told = (self.model, self.dataset, self.limit, self.shard, self.cluster, self.settings.get("method"))
        plain = not (self.known or self.ask or self.examples or self.sample_seed)
        return plain and told == (ModelChoice.model, bundled.SOURCE, None, EVERYTHING, None, scorers.DEFAULT)

    @property
    def sample(self) -> int | None:
        """Facts to take at most, None for all."""
        limit = (SAMPLE if self.dataset == bundled.SOURCE else 0) if self.limit is None else self.limit
        return limit or None


def build(options: BuildOptions, progress: Progress | None = None) -> Summary:
    """Attribute what the atlas does not hold yet of the selection, and return what was done.

    Safe to cut off at any moment and to call again. Raises UsageError for wrong options and an empty
    selection, DataError for facts that cannot be read, ModelError and StoreError for model and atlas.
    """
    started, progress = monotonic(), progress or Progress()
    if options.again and options.cluster is not None:
        raise UsageError("A run is done again by this process, not on Ray workers, whose rows of before may be left.")
    plan = read_plan(options, progress)
    with ExitStack() as stack:
        # An atlas that is there is opened first: a second writer should not wait for a model to load.
        writer = stack.enter_context(atlas.open(options.db, "a")) if options.db.exists() else None
        plan = make_plan(met(writer, plan.facts)) if writer else plan
        settings = settings_of(options, progress)
        with ExitStack() as at_work:
            workers = _workers(options, settings, progress, at_work)
            workbench = workers.workbench
            plan = _known_alone(options, plan, workers, progress)
            writer = writer or stack.enter_context(atlas.open(options.db, "a"))
            run = _start(options, writer, plan, settings, workers)
            job = _Job(options, progress, plan, writer, settings, workers, run)
            job.work()
            job.look_at_neurons()
        summary = job.summary(started)
        if options.twin is None or summary.interrupted:
            return summary
        go_on()
        loaded = workers.model if isinstance(workers, Worker) else None
        twin = Twin(workbench.info.name, workbench.info.digest, options.twin, workbench.traits, loaded)
        return replace(summary, twin=build_twin(options, progress, plan, writer, settings, run, twin))


def build_twin(
    options: BuildOptions, progress: Progress, plan: Plan, writer: "Writer", settings: "Settings", run: int, twin: Twin
) -> Summary:
    """Put the prompts of `plan` to the untrained twin of the model of `run`, under the same settings.

    What the atlas holds of the twin's run is not computed again. Raises ModelError for a model without a twin.
    """
    started = monotonic()
    with ExitStack() as stack:
        workers = _workers(options, settings, progress, stack, twin)
        own = _begun(writer, settings, options.dtype, workers, run, twin.seed)
        job = _Job(options, progress, plan, writer, settings, workers, own)
        job.work()
        return job.summary(started)


def read_plan(options: BuildOptions, progress: Progress) -> Plan:
    """Read the selected facts and plan their prompts; raises DataError and UsageError."""
    from atlas.facts import read
    from atlas.facts.selection import limited
    from atlas.facts.wording import reworded

    progress.step(f"reading facts from {options.dataset}")
    facts = read(options.dataset, options.languages, options.relations, skip_bad=options.skip_bad)
    facts = reworded(facts, options.ask, options.examples)
    if options.known:
        return make_plan(facts)
    first = bundled.EXAMPLES if options.limit is None else ()
    return make_plan(limited(facts, options.sample, options.sample_seed, first))


def _known_alone(options: BuildOptions, plan: Plan, workers: Worker | Cluster, progress: Progress) -> Plan:
    """Return the plan for what the model knows, if asked; raises UsageError if it knows nothing of the selection."""
    if not options.known:
        return plan
    if not isinstance(workers, Worker):
        raise UsageError("--known asks the model in this process; use --engine local.")
    every = {code for fact in plan.facts.facts for code in fact.labels} if options.everywhere else set()
    first = bundled.EXAMPLES if options.limit is None else ()
    found = known_facts(
        workers.model, plan.facts, options.sample, options.sample_seed, options.bytes, progress, len(every) or 1, first
    )
    if not found.facts:
        raise UsageError(_nothing_known(options, plan))
    return make_plan(found)


def _nothing_known(options: BuildOptions, plan: Plan) -> str:
    return (
        f"Model {options.model!r} knows none of the {len(plan.facts.facts):,} facts of {plan.facts.source} in "
        f"{'every' if options.everywhere else 'any'} language: no answer is its own choice in more than half of a "
        "fact's prompts; leave --known out."
    )


@dataclass
class _Job:
    """One call of `build`, all its parts at hand."""

    options: BuildOptions
    progress: Progress
    plan: Plan
    writer: "Writer"
    settings: "Settings"
    workers: Worker | Cluster
    run: int
    total: int = 0
    before: int = 0
    spell_names: Callable[[], None] = lambda: None
    added: Collection[tuple[int, str]] = ()
    statuses: Counter[str] = field(default_factory=Counter)

    def work(self) -> None:
        """Compute and load what is missing; whatever happens, the run's status says how it ended."""
        try:
            with orderly_stop(self.progress.stopping) as stop:
                self.workers.work(self.run, self._missing(), self._load, self.progress, stop)
            if not self._left():
                self.spell_names()
        except BaseException as error:
            # What went wrong is told, not that the run's status could not be written because of it.
            with suppress(AtlasError):
                self.writer.finish_run(self.run, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            self.progress.finish()
        self.writer.finish_run(self.run, "interrupted" if self._left() else "done")

    def look_at_neurons(self) -> None:
        """Store what the run's neurons write and what they are, once the run is whole; a shard never is."""
        if self.options.shard == EVERYTHING and not self._left():
            self.progress.step("looking up the tokens of knowledge neurons")
            name_neurons(self.writer, self.workers, self.run)
            self.progress.step("reading the neurons that are stored")
            describe_neurons(self.writer, self.workers, self.run, self.settings.at, self.progress.warn, self.added)

    def summary(self, started: float) -> Summary:
        """Count what the atlas holds now; `started` is when the job began."""
        self.progress.step("counting what was found")
        return Summary(
            atlas=self.options.db,
            run=self.run,
            model=self.workers.workbench.info.name,
            method=self.settings.method,
            total=self.total,
            before=self.before,
            held_out=self.plan.held_out,
            statuses=self.statuses,
            skips=tuple(self.plan.facts.skips),
            united=self.plan.facts.united,
            renamed=self.plan.facts.renamed,
            marked=self.plan.facts.marked,
            seconds=monotonic() - started,
            shard=self.options.shard,
            found=look(self.writer, self.run, whole=self.options.shard == EVERYTHING and not self._left()),
        )

    def _missing(self) -> Sequence[Batch]:
        """Return the batches of the shard that neither the atlas holds nor an earlier call has left over."""
        own = self.workers.workbench
        share = self.options.shard.take(list(self.plan.batches(batch_size(own.info, own.device))))
        planned = {prompt.id for batch in share for prompt in batch}
        done = self.writer.done_prompts(self.run)
        asked = [prompt for prompt in self.plan.facts.prompts() if prompt.id in done | planned]
        self.added = {prompt.pair for batch in missing(share, done) for prompt in batch}
        # Once, before scores say that any of the prompts are done.
        self.spell_names = cache(partial(spell_names, self.writer, self.workers, asked, self.added))
        for tables in self.workers.left_over(self.run, planned, done):
            self.spell_names()
            self.writer.load_batch(tables)
        batches = list(missing(share, self.writer.done_prompts(self.run)))
        self.total = prompts_of(share)
        self.before = self.total - prompts_of(batches)
        self.progress.start(self.total, self.before, "prompts")
        return batches

    def _load(self, batches: Sequence[Tables]) -> None:
        from pyarrow import concat_tables

        tables = {name: concat_tables([batch[name] for batch in batches]) for name in batches[0]}
        self.spell_names()
        self.writer.load_batch(tables)
        self.statuses.update(tables["probe"]["status"].to_pylist())

    def _left(self) -> int:
        return self.total - self.before - self.statuses.total()


def settings_of(options: BuildOptions, progress: Progress) -> "Settings":
    """Return the settings of the run; raises UsageError for one that cannot be."""
    progress.step("loading torch")
    from atlas.attribution import Settings

    return checked(Settings, options.settings)


def _workers(
    options: BuildOptions, settings: "Settings", progress: Progress, stack: ExitStack, twin: Twin | None = None
) -> Worker | Cluster:
    """Return the workers that are asked for, with the model or its untrained twin."""
    worker, name = WorkerOptions(options.filled(), settings, twin), "the untrained twin of " if twin else ""
    if options.cluster is None:
        progress.step(f"loading {name}model {options.model}")
        return Worker(worker)
    progress.step(f"starting Ray workers with {name}model {options.model}")
    return stack.enter_context(Cluster(options.cluster, worker))


def _start(options: BuildOptions, writer: "Writer", plan: Plan, settings: "Settings", workers: Worker | Cluster) -> int:
    writer.add_facts(plan.facts)
    writer.add_prompts(plan.facts.prompts())
    run = _begun(writer, settings, options.dtype, workers)
    if options.again:
        begin_again(writer, run, workers.workbench.versions)
    return run


def _begun(writer: "Writer", settings: "Settings", dtype: str, workers: Worker | Cluster, *twin: int) -> int:
    """Return the run that the workers fill, or that of a `twin`, its original and its seed."""
    bench = workers.workbench
    at_hand = AtHand(bench.traits, workers.answers, workers.probabilities)
    twin_of, twin_seed = twin or (None, None)
    return begin_run(writer, bench.info, settings, dtype, bench.versions, at_hand, twin_of, twin_seed)
