"""The job of `atlas knockout`: measure the candidates of degenerate knowledge neurons (METHOD 3, Eq. 9-10)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from atlas.attribution.identity import versions
from atlas.errors import UsageError
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.knockouts.means import take_out_other_means
from atlas.running.choice import NeuronsChoice, opened, runs_of
from atlas.running.progress import Progress
from atlas.running.stopping import orderly_stop
from atlas.running.work import packed, work
from atlas.store.doubts import doubts
from atlas.store.runs import UNION, stored_runs
from atlas.store.stored import neuron_sets, usable_prompts

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.engine.replacing import Replacing
    from atlas.knockouts.search import Known, Search, SearchLimits
    from atlas.models import LanguageModel, Position
    from atlas.store import Writer

Key = tuple[int, str]


@dataclass(frozen=True)
class KnockoutOptions(NeuronsChoice):
    """What to knock out, in which model, and where the rows go.

    `source` is the scorer whose run names the candidates, or `union` for all that the atlas holds of the model. `top`
    candidates are taken of each fact and language, sets have up to `max_order` neurons, cut `at` the run's position.
    `all_pairs` measures pairs too that a neuron alone rules out as a DKN.
    """

    languages: Sequence[str] | None = None
    relations: Sequence[str] | None = None
    limit: int | None = None
    top: int = 20
    max_order: int = 2
    control: bool = True
    seed: int = 0
    all_pairs: bool = False


@dataclass(frozen=True)
class KnockoutSummary:
    """The end of a knock-out job; `rows` were measured by this call.

    `without_candidates` are facts and languages without a knowledge neuron, `pairs_left_out` those of a fact in a
    language not tried, as a neuron of them alone costs more than t_low; `unusable` prompts by status. The shares
    are of the facts tried in the whole run that have a DKN in some language, and that have one among the controls; None
    where no controls were measured.
    """

    atlas: Path
    run: int
    model: str
    source: str
    replace: str
    prompts: int
    left: int
    rows: int
    without_candidates: int
    pairs_left_out: int
    unusable: Counter[str]
    facts: int
    facts_with_dkn: int
    facts_with_control: int | None
    seconds: float

    @property
    def interrupted(self) -> bool:
        """True if the job was stopped before its end."""
        return self.left > 0


def knockout(options: KnockoutOptions, progress: Progress | None = None) -> KnockoutSummary:
    """Measure what the atlas does not hold yet of the selected facts' knock-outs, and return what was done.

    Safe to cut off at any moment and to call again. Raises UsageError for wrong options and an atlas without a
    fitting run, ModelError and StoreError for model and atlas, which a build made before.
    """
    started = monotonic()
    progress = progress or Progress()
    if not (1 <= options.max_order <= 6 and options.top >= 1):
        raise UsageError("--top must be at least 1 and --max-order from 1 to 6.")
    from atlas.knockouts.search import SearchLimits

    with opened(options, progress) as (writer, options, model):
        runs = runs_of(writer, options, model, None if options.source == UNION else options.source)
        _check_dtype(writer, runs, model)
        run = union_run(writer, model, runs, options.at) if options.source == UNION else runs[0]
        progress.step("choosing candidates")
        read = writer.sql(_THRESHOLDS, [options.definition]).to_pylist()[0]
        options = replace(options, replace=options.replace or str(read["replace"]))
        limits = SearchLimits(
            top=options.top, max_order=options.max_order, control=options.control, seed=options.seed,
            budget=options.bytes, t_low=read["t_low"], absolute=read["absolute"], all_pairs=options.all_pairs,
        )  # fmt: skip
        job = _Job(options, progress, writer, model, run, runs, limits)
        job.work()
        return job.summary(started)


def _check_dtype(writer: "Writer", runs: Sequence[int], model: "LanguageModel") -> None:
    """Raise UsageError for a number type of no run: a set's parts and the whole are compared, whenever they are cut."""
    made = {run.dtype: run for run in stored_runs(writer, lambda run: run.run in runs)}
    own = str(model.dtype).removeprefix("torch.")
    if own not in made:
        run = next(iter(made.values()))
        raise UsageError(
            f"--dtype cannot be {own}: {run.title} is in {run.dtype}, and its knock-outs are compared with each other; "
            f"leave it out, or name a run that `atlas build --dtype {own}` makes with --run."
        )


@dataclass
class _Job:
    """One call of `knockout`, all its parts at hand."""

    options: KnockoutOptions
    progress: Progress
    writer: "Writer"
    model: "LanguageModel"
    run: int
    runs: Sequence[int]
    limits: "SearchLimits"
    total: int = 0
    done: int = 0
    rows: int = 0
    empty: int = 0
    left_out: int = 0
    unusable: Counter[str] = field(default_factory=Counter)

    def work(self) -> None:
        """Measure and load, batch by batch: all prompts of one fact in one language."""
        from atlas.knockouts.search import TOGETHER

        parameters = {"runs": list(self.runs), "definition": self.options.definition}
        # Best first; of several runs by their best rank.
        candidates = neuron_sets(self.writer, _CANDIDATES, parameters)
        batches = [list(group) for _, group in groupby(self._prompts(), key=lambda prompt: prompt.pair)]
        filled = [batch for batch in batches if candidates.get(batch[0].pair)]
        self.empty = len(batches) - len(filled)
        self.total = sum(map(len, filled))
        search = self._search(candidates)
        if self.options.replace == "mean" and search.replacing is not None:
            take_out_other_means(self.writer, self.run, search.replacing, chain(*filled), self.progress)
        for text in doubts(self.writer, self.run, self.options.definition, {batch[0].fact.id for batch in filled}):
            self.progress.warn(text)
        self.progress.start(self.total, 0, "prompts")
        try:
            with orderly_stop(self.progress.stopping) as stop:
                # Cut over the whole selection, so that a job that goes on computes the rest in the same company.
                work(packed(filled, TOGETHER), search.measure, self._load, self.progress, stop)
        finally:
            self.left_out = search.left_out
            self.progress.finish()

    def summary(self, started: float) -> KnockoutSummary:
        """Count what the run holds now."""
        self.progress.step("counting what was found")
        asked = {"run": self.run, "definition": self.options.definition, "replace": self.options.replace}
        found = self.writer.sql(_FOUND, asked).to_pylist()[0]
        return KnockoutSummary(
            atlas=self.options.db,
            run=self.run,
            model=self.model.info.name,
            source=str(self.options.source),
            replace=self.options.replace or "zero",
            prompts=self.total,
            left=self.total - self.done,
            rows=self.rows,
            without_candidates=self.empty,
            pairs_left_out=self.left_out,
            unusable=self.unusable,
            seconds=monotonic() - started,
            **found,
        )

    def _load(self, parts: Sequence["pa.Table"]) -> None:
        import pyarrow as pa

        table = pa.concat_tables(parts)
        if len(table):
            self.rows += self.writer.load("knockout", table)
        self.done += len(parts)

    def _prompts(self) -> list[Prompt]:
        """Return the usable prompts of the selected facts."""
        options = self.options
        prompts = [
            prompt
            for prompt in usable_prompts(self.writer, self.runs, self.progress.warn)
            if (options.languages is None or prompt.language in options.languages)
            and (options.relations is None or prompt.fact.relation in options.relations)
        ]
        if not prompts:
            raise UsageError(
                f"{options.db} has no usable prompts of {options.model} in these languages and relations; "
                "`atlas facts` lists what there is."
            )
        kept = set(list(dict.fromkeys(prompt.fact.id for prompt in prompts))[: options.limit or None])
        return [prompt for prompt in prompts if prompt.fact.id in kept]

    def _search(self, candidates: dict[Key, list[Neuron]]) -> "Search":
        from atlas.knockouts.search import Search

        return Search(
            self.model, self.run, candidates, self.limits, self._stored, self.unusable, self.options.at,
            self.options.replace or "zero", self._replacing(),
        )  # fmt: skip

    def _replacing(self) -> "Replacing | None":
        """Return where the values come from that cut neurons take: the prompts of the runs, partners as before."""
        from atlas.engine.replacing import replacing

        options = self.options
        pool = usable_prompts(self.writer, self.runs) if options.replace != "zero" else []
        partners = {row["prompt"]: row["other"] for row in self.writer.sql(_PARTNERS, {"run": self.run}).to_pylist()}
        return replacing(self.model, options.replace or "zero", pool, options.seed, options.bytes, options.at, partners)

    def _stored(self, prompts: Sequence[int]) -> "Known":
        """Return what the run's knock-outs of some prompts gave."""
        from atlas.knockouts.search import Known

        asked = {"run": self.run, "prompts": list(prompts), "replace": self.options.replace}
        rows = self.writer.sql(_STORED, asked).to_pylist()
        return Known(
            {(row["prompt"], row["set"], row["control"]): row["after"] for row in rows},
            {row["prompt"]: row["before"] for row in rows},
        )


_THRESHOLDS = "SELECT t_low, absolute, replace FROM definition WHERE definition = ?"

_STORED = """
SELECT prompt, "set", control, before, after
FROM knockout
WHERE run = $run AND list_contains($prompts, prompt) AND replace = $replace
"""

_PARTNERS = "SELECT DISTINCT prompt, other FROM knockout WHERE run = $run AND other IS NOT NULL"

_CANDIDATES = """
SELECT fact, language, layer, neuron
FROM (
    SELECT fact, language, layer, neuron, row_number() OVER (
        PARTITION BY run, fact, language ORDER BY score DESC, layer, neuron
    ) AS place
    FROM knowledge_neuron_all
    WHERE definition = $definition AND list_contains($runs, run)
)
GROUP BY fact, language, layer, neuron
ORDER BY fact, language, min(place), layer, neuron
"""

_FOUND = """
SELECT
    (SELECT count(DISTINCT fact) FROM (
        SELECT prompt.fact FROM knockout JOIN prompt USING (prompt)
        WHERE knockout.run = $run AND knockout.replace = $replace AND NOT control
        GROUP BY prompt.fact, prompt HAVING count(*) >= 2
     ))::BIGINT AS facts,
    (SELECT count(DISTINCT fact) FROM dkn_of(replaced(definition_of($definition, $run), $replace))
     WHERE run = $run) AS facts_with_dkn,
    CASE WHEN EXISTS (FROM knockout WHERE run = $run AND replace = $replace AND control) THEN (
        SELECT count(DISTINCT fact) FROM dkn_control_of(replaced(definition_of($definition, $run), $replace))
        WHERE run = $run
    ) END AS facts_with_control
"""


def union_run(writer: "Writer", model: "LanguageModel", runs: Sequence[int], at: "Position" = "query") -> int:
    """Return the run that stands for the joined neurons of `runs`, all `at` one position; it has no scores."""
    run = writer.start_run(
        model=model.info.id,
        method=UNION,
        settings={"floor": 0.0, "runs": sorted(runs)} | ({} if at == "query" else {"at": at}),
        seed=0,
        versions=versions(str(model.device)),
    )
    writer.finish_run(run)
    return run
