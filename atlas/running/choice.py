"""Which model a job works with, and how it is loaded: what every command that loads one asks. Imports no torch."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from atlas.errors import ModelError, UsageError
from atlas.matching import option
from atlas.schema import REPLACES

if TYPE_CHECKING:
    from atlas.models import LanguageModel
    from atlas.store.runs import StoredRun


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

    def load_of(self, run: "StoredRun") -> "LanguageModel":
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
    meant = option("--replace", word, REPLACES)
    if meant != "zero" and scope != "query":
        raise UsageError(f"--replace {meant} takes values of one position; leave --scope at query.")
    return meant
