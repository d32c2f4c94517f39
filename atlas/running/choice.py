"""Which model a job works with, and how it is loaded: what every command that loads one asks. Imports no torch."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import atlas
from atlas import scorers
from atlas.errors import ModelError, UsageError
from atlas.matching import check_whole, option
from atlas.running.progress import Progress
from atlas.schema import REPLACES
from atlas.store.naming import IN_USE, understood
from atlas.store.runs import UNION, StoredRun, check_traits, choose_runs, models_of, other_models, stored_run

if TYPE_CHECKING:
    from atlas.models import LanguageModel, Position
    from atlas.store import Writer
    from atlas.store.reader import Reader

BARE = 64
"""The smallest size that may go without a unit, as megabytes: fewer are rather meant as gigabytes."""


def megabytes(text: str) -> int:
    """Return a size such as `4GB`, `500MB` or `500` in megabytes; raises UsageError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(GB|MB|)\s*", text, re.IGNORECASE)
    size = float(found[1]) * (1024 if found[2].upper() == "GB" else 1) if found else 0
    if found and not found[2] and 0 < size < BARE:
        raise UsageError(f"{text!r} has no unit: write {found[1]}GB, or {found[1]}MB for so few.")
    if not 1 <= size < 1 << 31:
        raise UsageError(f"{text!r} is not a size of at least 1 MB, at most 2 PB; write 4GB or 500MB.")
    return int(size)


def path_of(option: str, place: str | PathLike[str]) -> Path:
    """Return the path that an option names; raises UsageError for an empty one, which Path takes for `.`."""
    if not fspath(place):
        raise UsageError(f"{option} is empty; name one, or leave the option out.")
    return Path(place)


@dataclass(frozen=True)
class OpenChoice:
    """A choice that may leave the model to the job; None stands for what the job goes by, such as a run of the atlas.

    `memory` is a budget for activations in MB, None is as the device allows; `threads` None leaves their number to
    torch.
    """

    model: str | None = None
    device: str = "auto"
    dtype: str | None = None
    revision: str | None = None
    allow_pickle: bool = False
    memory: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a name that is empty, which would be taken for one that was left out, and no memory."""
        check_whole("--memory", self.memory, 1)
        for name in ("model", "dtype", "revision"):
            value = getattr(self, name)
            if value is not None and not value.removesuffix(":encoder").strip():
                raise UsageError(f"--{name} is empty; name one, or leave the option out.")

    def given(self) -> dict[str, Any]:
        """Return the choices by name, without what a job's options add to them."""
        return {field.name: getattr(self, field.name) for field in fields(OpenChoice)}

    @property
    def bytes(self) -> int | None:
        """The budget for activations in bytes, None as the device allows."""
        return None if self.memory is None else self.memory << 20

    def filled(self, model: str = "demo-mbert", dtype: str = "float32", revision: str | None = None) -> "ModelChoice":
        """Return the choice with what it leaves open."""
        left = {"model": self.model or model, "dtype": self.dtype or dtype, "revision": self.revision or revision}
        return ModelChoice(**{**self.given(), **left})

    def load_of(self, run: StoredRun) -> "LanguageModel":
        """Return the model of `run`; raises ModelError for one with other weights than the run was made with."""
        model = named(self, run).filled().load()
        check_weights(model, run)
        return model


@dataclass(frozen=True)
class ModelChoice(OpenChoice):
    """A choice that leaves nothing open; see `OpenChoice`."""

    model: str = "demo-mbert"
    dtype: str = "float32"

    def load(self) -> "LanguageModel":
        """Return the model; raises ModelError and UsageError, see `load_model`."""
        import torch

        from atlas.models import load_model

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return load_model(
            self.model,
            device=self.device,
            dtype=self.dtype,  # type: ignore[arg-type]  # checked by load_model
            revision=self.revision,
            allow_pickle=self.allow_pickle,
        )


def replace_of(word: str | None, scope: str = "query") -> str | None:
    """Return which `replace` is meant, None for None.

    Raises UsageError for one that is not known, and for values read at one position that are put everywhere.
    """
    if word is None:
        return None
    chosen = option("--replace", word, REPLACES)
    if chosen != "zero" and scope != "query":
        raise UsageError(f"--replace {chosen} takes values of one position; leave --scope at query.")
    return chosen


@dataclass(frozen=True)
class NeuronsChoice(OpenChoice):
    """A choice of a model and of the scorer whose run names its neurons, `at` a position, or of the `run` itself.

    `source` may be `union`; what is None is that of the run that is meant, see `meant`, and so is an empty
    `definition`. `replace` says what cut neurons become, None for what the definition reads. The atlas is at `db`.
    """

    source: str | None = None
    at: "Position" = "query"
    run: int | None = None
    db: Path = Path("atlas.duckdb")
    definition: str = IN_USE
    replace: str | None = None


Choice = TypeVar("Choice", bound=OpenChoice)
Neurons = TypeVar("Neurons", bound=NeuronsChoice)


def meant(atlas: "Reader", options: Neurons, progress: Progress) -> Neurons:
    """Return `options` with the model and the scorer that they leave open: those of the run that is meant.

    A model may be one that the atlas does not know by this name; its scorer stays open then, see `_sourced`. Raises
    UsageError if there is no run.
    """
    if options.model is not None and _is_elsewhere(atlas, options.model):
        return options
    method, at = (None if options.source == UNION else options.source), (options.at if options.run is None else None)
    try:
        run = stored_run(atlas, model=options.model, run=options.run, at=at, method=method)
    except UsageError:
        if options.model is None or options.run is not None:
            raise
        return options
    if None in (options.model, options.source):
        tell(atlas, run, options, progress)
    at = cast("Position", run.at)
    return replace(named(options, run), source=options.source or run.method, at=at)


@contextmanager
def opened(options: Neurons, progress: Progress) -> Iterator[tuple["Writer", Neurons, "LanguageModel"]]:
    """Open the atlas of `options`; give it with what they mean there and with the model, which is loaded.

    Raises UsageError for wrong options and where no run is meant, ModelError, and StoreError where there is no atlas.
    """
    from atlas.store.connection import check_file  # with it comes DuckDB, which options and their help do not need

    options = replace(options, replace=replace_of(options.replace))
    check_file(options.db)
    with atlas.open(options.db, "a") as writer:
        options = meant(writer, understood(writer, options), progress)
        progress.step(f"loading model {options.model}")
        model = options.filled().load()
        yield writer, _sourced(writer, options, model, progress), model


def _sourced(atlas: "Reader", options: Neurons, model: "LanguageModel", progress: Progress) -> Neurons:
    """Return `options` with a scorer: where it is open that of the loaded model's run that is meant, or the default."""
    if options.source is not None:
        return options
    try:
        run = stored_run(atlas, model=model.info.digest, at=options.at)
    except UsageError:
        return replace(options, source=scorers.DEFAULT)
    tell(atlas, run, options, progress)
    return replace(options, source=run.method)


def named(options: Choice, run: StoredRun) -> Choice:
    """Return `options` with what they leave open of the model of `run`, and its name as the atlas has it."""
    from atlas.models.names import with_stack

    filled = options.filled(run.name, run.dtype, run.revision)
    model = filled.model if Path(with_stack(filled.model)).exists() else run.name
    return replace(options, **{**filled.given(), "model": model})


def _is_elsewhere(atlas: "Reader", word: str) -> bool:
    """Return whether `word` is no model of the atlas, but one that can be loaded; raises UsageError for neither."""
    from atlas.models.names import KNOWN, with_stack

    try:
        models_of(atlas, word)
    except UsageError:
        if "/" in word or Path(with_stack(word)).exists() or with_stack(word) in KNOWN:
            return True
        raise
    return False


def runs_of(atlas: "Reader", options: NeuronsChoice, model: "LanguageModel", method: str | None) -> list[int]:
    """Return the run that `options` name, or those of `method` as `choose_runs` has them, of the loaded `model`.

    Raises UsageError where there is none, ModelError for runs of other weights, tokenizer or configuration than those
    of `model`.
    """
    from atlas.attribution.traits import traits

    if options.run is None:
        return choose_runs(atlas, model.info.id, str(options.model), method, options.at, traits(model))
    run = stored_run(atlas, run=options.run)
    check_weights(model, run)
    return [run.run]


def check_weights(model: "LanguageModel", run: StoredRun) -> None:
    """Raise ModelError for a model with other weights, tokenizer or configuration than `run` was made with."""
    from atlas.attribution.traits import traits

    check_traits(run, traits(model))
    if model.info.digest != run.digest:
        raise ModelError(
            f"Model {run.name!r} has other weights ({model.info.digest}) than those of run {run.run} "
            f"({run.digest}), so the run's neurons are not its own; run `atlas build` with this model first."
        )


def tell(atlas: "Reader", run: StoredRun, options: OpenChoice, progress: Progress) -> None:
    """Say that `run` was taken, unless its number was given."""
    if getattr(options, "run", None) is None:
        progress.chose(taken(run, other_models(atlas, run) if options.model is None else ()))


def taken(run: StoredRun, others: Sequence[str] = ()) -> str:
    """Return the sentence that says which run was taken where none was named, and which `others` are models."""
    beside = f", not of {', '.join(others)}" if others else ""
    return f"taken: {run.title}{beside}; `atlas runs` lists the others, `atlas use` or options choose one"


def check_one(run: int | None, model: str | None, method: str | None) -> None:
    """Raise UsageError for a run that is named beside what else would choose one."""
    if run is not None and (model is not None or method is not None):
        raise UsageError("--run names one run: leave out --model and --method.")
