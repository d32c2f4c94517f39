"""What a worker does, in this process or on Ray: load the model, attribute batches, hand back their rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from atlas.attribution.identity import versions
from atlas.errors import ModelError
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.running.choice import ModelChoice
from atlas.running.progress import Progress
from atlas.running.stopping import Stop
from atlas.running.work import Batch, Load, work

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.attribution import Budget, Settings
    from atlas.models import LanguageModel, ModelInfo

Spelled = Sequence[tuple[str, ...] | None]
Tables = Mapping[str, "pa.Table"]
"""The rows of one batch: probe, probe_layer and attribution."""


@dataclass(frozen=True)
class Twin:
    """The untrained twin of `model` (a name) with the weights `digest` and `traits`, its own drawn from `seed`.

    `loaded` is that model, where it is at hand.
    """

    model: str
    digest: str
    seed: int
    traits: Mapping[str, str]
    loaded: "LanguageModel | None" = None

    def of(self, model: "LanguageModel") -> "LanguageModel":
        """Return the twin of the loaded `model`; raises ModelError for another model, see `untrained`."""
        from atlas.attribution.traits import traits
        from atlas.models.twin import untrained

        own = traits(model)
        for name, then in self.traits.items():
            if own[name] != then:
                raise ModelError(
                    f"Model {self.model!r} has another {name} ({own[name]}) than that of the run ({then}) that its "
                    "twin would stand beside; run `atlas build` with this model first."
                )
        if model.info.digest != self.digest:
            raise ModelError(
                f"Model {self.model!r} has other weights ({model.info.digest}) than those of the run ({self.digest}) "
                "that its twin would stand beside; run `atlas build` with this model first."
            )
        return untrained(model, self.seed)


@dataclass(frozen=True)
class WorkerOptions:
    """All that a worker needs to know; plain values, so that it can be sent to another machine.

    With `twin` it works with the untrained twin of the model that is chosen.
    """

    choice: ModelChoice
    settings: "Settings"
    twin: Twin | None = None


@dataclass(frozen=True)
class Workbench:
    """What a worker works with; equal for all workers of a build."""

    info: "ModelInfo"
    traits: Mapping[str, str]
    device: str
    versions: Mapping[str, str]


class Worker:
    """Computes in this process, one batch after the other; the model is loaded when it is first needed."""

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options

    @cached_property
    def model(self) -> "LanguageModel":
        """The loaded model; raises ModelError and UsageError."""
        twin = self.options.twin
        loaded = (twin and twin.loaded) or self.options.choice.load()
        return loaded if twin is None else twin.of(loaded)

    @cached_property
    def workbench(self) -> Workbench:
        """What this worker works with."""
        from atlas.attribution.traits import traits

        device = self.model.device
        return Workbench(self.model.info, traits(self.model), device.type, versions(str(device)))

    def compute(self, run: int, prompts: Sequence[Prompt]) -> Any:
        """Attribute one batch and return its rows."""
        from atlas.attribution import attribute
        from atlas.attribution.rows import to_tables

        settings = self.options.settings
        return to_tables(run, attribute(self.model, prompts, settings, self._budget), settings.floor)

    def tokens(self, layer: int, neurons: Sequence[int]) -> "pa.Table":
        """Return the rows of `neuron_token` of some neurons of a layer."""
        from atlas.engine.value_vectors import neuron_tokens

        return neuron_tokens(self.model, layer, neurons)

    def activations(self, prompts: Sequence[Prompt], neurons: Sequence[Neuron]) -> "pa.Table":
        """Return the rows of `neuron_activation` of some neurons, over prompts of one language."""
        from atlas.engine.activations import neuron_activations

        return neuron_activations(self.model, prompts, neurons, self.options.settings.at, self._budget)

    def labels(self, prompts: Sequence[Prompt]) -> "pa.Table":
        """Return the rows of `label_token` of the facts and languages of `prompts`."""
        from atlas.engine.label_tokens import label_tokens

        return label_tokens(self.model, prompts)

    def answers(self, prompts: Sequence[Prompt]) -> Spelled:
        """Return the tokens of the answers of `prompts`, see `answer_tokens`."""
        from atlas.engine.label_tokens import answer_tokens

        return answer_tokens(self.model, prompts)

    def probabilities(self, prompts: Sequence[Prompt]) -> list[float]:
        """Return the probabilities of the answers of `prompts`; raises ModelError for one that cannot be used."""
        from atlas.engine.answers import probabilities

        return probabilities(self.model, prompts, self._budget)

    def left_over(self, run: int, planned: set[int], done: set[int]) -> Iterable[Tables]:
        """Return rows that an earlier call computed and did not load: none, as this process loads what it computes."""
        return ()

    def work(self, run: int, batches: Iterable[Batch], load: Load[Tables], progress: Progress, stop: Stop) -> None:
        """Compute `batches` and load their rows, until all are done or `stop` is requested."""
        work(batches, lambda batch: [self.compute(run, batch)], load, progress, stop)

    @cached_property
    def _budget(self) -> "Budget":
        """What all batches of this worker share, so that memory is refused once and not for each batch."""
        from atlas.attribution import Budget

        return Budget.of(self.model, self.options.choice.bytes)
