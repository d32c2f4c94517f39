"""Which model a job works with, and how it is loaded: what every command that loads one asks. Imports no torch."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from atlas import scorers
from atlas.errors import ModelError, UsageError
from atlas.matching import option
from atlas.running.progress import Progress
from atlas.schema import REPLACES
from atlas.store.runs import UNION, StoredRun, stored_run

if TYPE_CHECKING:
    from atlas.models import LanguageModel, Position
    from atlas.store.reader import Reader


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
        """Raise UsageError for a name that is empty, which would be taken for one that was left out."""
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
        model = self.filled(run.name, run.dtype, run.revision).load()
        if model.info.digest != run.digest:
            raise ModelError(
                f"Model {run.name!r} has other weights ({model.info.digest}) than those of run {run.run} "
                f"({run.digest}), so the run's neurons are not its own; run `atlas build` with this model first."
            )
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
    """A choice of a model and of the scorer whose run names its neurons, `at` a position.

    `source` may be `union`; what is None is that of the run that is meant, see `meant`.
    """

    source: str | None = None
    at: "Position" = "query"


Choice = TypeVar("Choice", bound=NeuronsChoice)


def meant(atlas: "Reader", options: Choice, progress: Progress) -> Choice:
    """Return `options` with the model and the scorer that they leave open: those of the run that is meant.

    A model may be one that the atlas does not know by this name; its scorer is the default one then. Raises UsageError
    if there is no run.
    """
    if None not in (options.model, options.source):
        return options
    try:
        method = None if options.source == UNION else options.source
        run = stored_run(atlas, model=options.model, at=options.at, method=method)
    except UsageError:
        if options.model is None:
            raise
        return replace(options, source=options.source or scorers.DEFAULT)
    progress.chose(taken(run))
    filled = options.filled(run.name, run.dtype, run.revision) if options.model is None else options
    return replace(options, **filled.given(), source=options.source or run.method)


def taken(run: StoredRun) -> str:
    """Return the sentence that says which run was taken where none was named."""
    return f"taken: {run.title}; `atlas runs` lists the others, `atlas use` or options choose one"
