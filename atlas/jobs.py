"""The jobs as functions, with the arguments of the commands: what `atlas.build` and its like are.

An argument is an option of the command of the same name, with `_` for `-`, a `_` behind a word that Python keeps for
itself (`from_`), and the same default; `atlas COMMAND --help` and docs/cli.md say what each means. Where an option
takes names parted by commas, an argument takes them so or as a list. What only says how a command prints is left out.
What jobs tell goes to `progress`, or else to the log `atlas`. Errors are those of `atlas.errors`, in the commands'
words.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypedDict, TypeVar, Unpack, get_type_hints

from atlas import scorers
from atlas.errors import UsageError, counted
from atlas.matching import names, option
from atlas.running.choice import ModelChoice, OpenChoice, check_one, megabytes, path_of
from atlas.running.numbers import bounded
from atlas.running.progress import LoggedProgress, Progress
from atlas.store.naming import IN_USE

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.building.ray import ClusterOptions
    from atlas.building.summary import Summary
    from atlas.checking.job import CheckOptions
    from atlas.editing.job import Done
    from atlas.editing.requests import Request
    from atlas.evaluation.curves import Curves
    from atlas.evaluation.job import Evaluated
    from atlas.knockouts.job import KnockoutSummary

Codes = str | Sequence[str] | None
"""One name or several, in one text parted by commas or as a list; None for all."""
Names = tuple[str, ...] | None
Place = str | PathLike[str]
Position = Literal["query", "subject"]
Given = ParamSpec("Given")
Found = TypeVar("Found")


class Loading(TypedDict, total=False):
    """How the model is loaded, beside its name; see `atlas.running.choice.OpenChoice`."""

    device: str
    dtype: str | None
    revision: str | None
    allow_pickle: bool
    memory: int | str | None
    threads: int | None


def _loading(choice: type[OpenChoice]) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """Let a function, in bounds, whose last arguments are those of `Loading` name them in its signature."""
    defaults = {field.name: field.default for field in fields(choice)}

    def spelled(function: Callable[Given, Found]) -> Callable[Given, Found]:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        kinds = get_type_hints(Loading).items()
        more = [inspect.Parameter(n, own[-1].kind, default=defaults[n], annotation=kind) for n, kind in kinds]
        checked = bounded(function, [*own, *more])
        checked.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return checked

    return spelled


@_loading(ModelChoice)
def build(
    *, model: str = "demo-mbert", dataset: str = "bundled", languages: Codes = None, relations: Codes = None,
    limit: int | None = None, sample_seed: int = 0, known: bool = False, ask: bool = False,
    examples: int | None = None, method: str = scorers.DEFAULT, at: Position = "query", db: Place = "atlas.duckdb",
    tolerance: float | None = None, nodes: int | None = None, max_nodes: int | None = None, rule: str | None = None,
    cuts: int | None = None, floor: float | None = None,
    seed: int = 0, shard: str | None = None, engine: Literal["local", "ray"] = "local", ray_address: str | None = None,
    workers: int | None = None, gpus_per_worker: float | None = None, shards_to: str | None = None,
    skip_bad: bool = False, twin: bool | None = None, again: bool = False, progress: Progress | None = None,
    **loading: Unpack[Loading],
) -> Summary:  # fmt: skip
    """Attribute facts with a model and store the scores in the atlas at `db`; the command `atlas build`.

    What the atlas holds already is not computed again. Returns what was done, in prompts; one that was interrupted says
    so. Raises UsageError for wrong arguments and an empty selection, DataError for facts that cannot be read,
    ModelError and StoreError for model and atlas.
    """
    from atlas.building import job, plan

    (method,) = scorers.asked((method,), "build")
    settings = {"tolerance": tolerance, "nodes": nodes, "max_nodes": max_nodes, "rule": rule, "cuts": cuts,
                "floor": floor}  # fmt: skip
    _check_read(method, settings)
    options = job.BuildOptions(
        model=model, dataset=dataset, languages=names(languages), relations=names(relations), limit=limit,
        sample_seed=sample_seed, known=known, ask=ask, examples=examples, skip_bad=skip_bad, db=Path(db), again=again,
        shard=plan.EVERYTHING if shard is None else plan.Shard.parse(shard),
        cluster=_cluster(engine, ray_address, workers, gpus_per_worker, shards_to),
        settings={"method": method, "at": _at(at), "seed": seed, **_given(settings)}, **_of(loading),
    )  # fmt: skip
    if options.is_default if twin is None else twin:
        options = replace(options, twin=seed)
    return job.build(options, progress or LoggedProgress())


@_loading(OpenChoice)
def knockout(
    *, model: str | None = None, run: int | None = None, method: str | None = None, languages: Codes = None,
    relations: Codes = None, limit: int = 0, top: int = 20, max_order: int = 2, all_pairs: bool = False,
    control: bool = True, definition: str = IN_USE, at: Position = "query", replace: str | None = None,
    db: Place = "atlas.duckdb", seed: int = 0, progress: Progress | None = None, **loading: Unpack[Loading],
) -> KnockoutSummary:  # fmt: skip
    """Cut knowledge neurons, alone and together, and store what the answers lose; the command `atlas knockout`.

    What the atlas holds already is not measured again. Returns what was done. Raises UsageError for wrong arguments and
    an atlas without a fitting run, ModelError and StoreError for model and atlas.
    """
    from atlas.knockouts import job

    check_one(run, model, method)
    options = job.KnockoutOptions(
        model=model, db=Path(db), run=run, source=method, languages=names(languages), relations=names(relations),
        limit=limit or None, top=top, max_order=max_order, all_pairs=all_pairs, control=control,
        definition=definition, replace=replace, seed=seed, at=_at(at), **_of(loading),
    )  # fmt: skip
    return job.knockout(options, progress or LoggedProgress())


@_loading(OpenChoice)
def edit(
    *, fact: str | None = None, object: str | None = None, relation: str | None = None, languages: Codes = None,
    batch: Place | None = None, neurons: str = "likn", least_languages: int | None = None, method: str = "fit",
    model: str | None = None, run: int | None = None, from_: str | None = None, at: Position | None = None,
    definition: str = IN_USE, save: Place | None = None, together: bool = False, force: bool = False,
    control: bool = False, other_layers: bool = False, grow: bool = False, generate: int = 0, seed: int = 0,
    steps: int | None = None, db: Place = "atlas.duckdb", progress: Progress | None = None, **loading: Unpack[Loading],
) -> list[Done]:  # fmt: skip
    """Change facts in a model's weights, in several languages at once; the command `atlas edit`.

    Returns what became of each request, in order: `rates` by measure, and the edit's `file`. Raises UsageError,
    StoreError and ModelError where nothing can be done at all, as for a single request that cannot be met.
    """
    from atlas.editing import job

    check_one(run, model, from_)
    options = job.EditOptions(
        model=model, db=Path(db), run=run, source=from_, at=None if at is None else _at(at), definition=definition,
        neurons=neurons, least_languages=least_languages, force=force, together=together,
        save=None if save is None else path_of("--save", save), control=control, other_layers=other_layers, grow=grow,
        generate=generate, settings={"method": method, "seed": seed, **_given({"steps": steps})}, **_of(loading),
    )  # fmt: skip
    requests = _requests(fact, object, relation, names(languages), batch)
    done = job.edit_facts(options, requests, progress or LoggedProgress())
    if len(done) == 1 and done[0].error is not None:
        raise done[0].error
    return done


@_loading(OpenChoice)
def check(
    *, subject: str | None = None, relation: str | None = None, object: str | None = None, language: str | None = None,
    claims: Place | None = None, evaluate: bool = False, evidence: str = "dkn", model: str | None = None,
    run: int | None = None, method: str | None = None, languages: Codes = None, relations: Codes = None,
    conditions: Codes = None, limit: int = 0, templates: int = 2, definition: str = IN_USE, at: Position = "query",
    replace: str | None = None, db: Place = "atlas.duckdb", seed: int = 0, progress: Progress | None = None,
    **loading: Unpack[Loading],
) -> pa.Table:  # fmt: skip
    """Judge claims by the attribution of their objects at their relation's neurons; the command `atlas check`.

    Returns the rows that the command writes: one for each claim, or with `evaluate` one for each condition and kind of
    evidence. Raises UsageError unless one claim, a file or `evaluate` is given, and for a single claim that cannot be
    judged, StoreError and ModelError for atlas and model.
    """
    from atlas.checking import job, judge
    from atlas.checking.answers import answer_rows
    from atlas.checking.claims import Claim, read_claims

    progress = progress or LoggedProgress()
    _check_asked((subject, relation, object), claims, evaluate=evaluate)
    _check_kind(subject, language, evaluate=evaluate, narrowed={
        "--languages": languages, "--relations": relations, "--conditions": conditions, "--limit": limit or None,
    })  # fmt: skip
    check_one(run, model, method)
    options = job.CheckOptions(
        model=model, db=Path(db), run=run, source=method, definition=definition, replace=replace,
        templates=templates, seed=seed, at=_at(at), **_of(loading),
    )  # fmt: skip
    if evaluate:
        return _evaluated(options, names(languages), names(relations), names(conditions), limit, progress)
    one = Claim(str(subject), str(relation), str(object), language)
    asked = [one] if claims is None else read_claims(path_of("--claims", claims))
    return answer_rows(judge.check_claims(options, asked, evidence, strict=claims is None, progress=progress))


@_loading(OpenChoice)
def evaluate(
    *, method: Codes = None, model: str | None = None, languages: Codes = None, relations: Codes = None,
    limit: int = 40, neurons: int = 10, curve: bool = False, likn_method: str = "",
    definition: str = IN_USE, at: Position = "query", scope: str = "query", replace: str = "zero", seed: int = 0,
    db: Place = "atlas.duckdb", progress: Progress | None = None, **loading: Unpack[Loading],
) -> Evaluated | Curves:  # fmt: skip
    """Measure what cutting, enhancing and injecting each scorer's neurons does; the command `atlas evaluate`.

    Returns both tables, or with `curve` the curves and their areas; all are Arrow tables. Raises UsageError where no
    fact can be evaluated, StoreError and ModelError for atlas and model.
    """
    from atlas.evaluation import curves, job

    options = job.EvaluateOptions(
        model=model, db=Path(db), languages=names(languages), relations=names(relations), limit=limit,
        methods=scorers.asked(names(method), "localisation"), method=likn_method, neurons=neurons,
        definition=definition, scope=scope, replace=replace, seed=seed, at=_at(at), **_of(loading),
    )  # fmt: skip
    return (curves.curves if curve else job.evaluate)(options, progress or LoggedProgress())


def _check_asked(claim: Sequence[str | None], claims: Place | None, *, evaluate: bool) -> None:
    """Raise UsageError unless `check` is asked for exactly one kind of work."""
    some = any(part is not None for part in claim)
    if sum((some, claims is not None, evaluate)) != 1 or (some and not all(claim)):
        raise UsageError("Give a whole claim by --subject, --relation and --object, or --claims FILE, or --evaluate.")


def _check_kind(subject: str | None, language: str | None, *, evaluate: bool, narrowed: Mapping[str, object]) -> None:
    """Raise UsageError for a language beside other than one claim, and for what narrows an evaluation beside none."""
    if language is not None and subject is None:
        raise UsageError("--language is of one claim; a file has a column language, and --evaluate takes --languages.")
    for name in [] if evaluate else _given(narrowed):
        raise UsageError(f"{name} is for --evaluate alone; leave it out.")


def _of(loading: Loading) -> dict[str, Any]:
    memory = loading.get("memory")
    return {**loading} | ({"memory": megabytes(memory)} if isinstance(memory, str) else {})


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if value is not None}


def _check_read(method: str, settings: Mapping[str, object]) -> None:
    """Raise UsageError for a setting that the scorer does not read: it would make another run of equal rows."""
    for name in _given(settings):
        if name not in ("floor", *scorers.SCORERS[method].reads):
            raise UsageError(f"--{name.replace('_', '-')} is nothing that method {method} reads; leave it out.")


def _at(at: str) -> Position:
    """Return the position that is meant; raises UsageError."""
    return option("--at", at, ("query", "subject"))  # type: ignore[return-value]  # one of the two


def _cluster(
    engine: str, address: str | None, workers: int | None, gpus: float | None, shards_to: str | None
) -> ClusterOptions | None:
    """Return where Ray works, None for this process; raises UsageError for Ray's options without Ray."""
    from atlas.building.ray import ClusterOptions

    options = {"--ray-address": address, "--workers": workers, "--gpus-per-worker": gpus, "--shards-to": shards_to}
    if option("--engine", engine, ("local", "ray")) == "ray":
        return ClusterOptions(address, workers, gpus, shards_to)
    if given := [name for name, value in options.items() if value is not None]:
        raise UsageError(f"{given[0]} is for Ray workers alone; add --engine ray.")
    return None


def _requests(
    fact: str | None, object_: str | None, relation: str | None, languages: Names, batch: Place | None
) -> list[Request]:
    from atlas.editing.requests import Request, read_requests

    if batch is not None and relation is not None:
        raise UsageError("--relation is for --fact; a file of edits has a column relation.")
    if batch is not None and fact is None and object_ is None:
        return read_requests(path_of("--batch", batch), languages)
    if batch is not None or fact is None or object_ is None:
        raise UsageError("Say what to edit: --fact and --object, or --batch and a file of edits.")
    return [Request(fact, object_, languages=languages, relation=relation)]


def _evaluated(
    options: CheckOptions, languages: Names, relations: Names, conditions: Names, limit: int, progress: Progress
) -> pa.Table:
    """Return the table of an evaluation of claims; facts that gave none are told."""
    from atlas.checking.job import evaluate_claims
    from atlas.checking.report import evaluation_table

    identity, found, left_out = evaluate_claims(options, languages, relations, conditions, limit or None, progress)
    for reason, facts in left_out.items():
        progress.warn(f"no claims of {counted(facts, 'fact')} in a language: {reason}")
    table = evaluation_table(found, options.seed)
    return table.append_column("evaluation", [[identity] * table.num_rows])
