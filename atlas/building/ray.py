"""Running a plan on Ray: actors hold the model, batches are their tasks, this process alone loads the rows."""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from atlas.building.computing import Spelled, Tables, Workbench, Worker, WorkerOptions
from atlas.building.shards import DamagedShardError, Store
from atlas.errors import AtlasError, UsageError
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.running.progress import Progress
from atlas.running.stopping import Stop
from atlas.running.work import Basket, Batch, Load, placed

if TYPE_CHECKING:
    import pyarrow as pa

RETRIES = 3
"""How often a batch is given out again whose worker died or whose shard was damaged."""
AHEAD = 2
"""Batches that a worker has at hand, so that it never waits for the next one."""
_OBJECT_STORE = 256 << 20  # bytes; batches on their way take little
_ANSWER = 10.0  # seconds for a cluster to answer
_POLL = 1.0  # seconds until a signal is heard

log = logging.getLogger("atlas")


@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster works, with how many workers.

    `address` None starts a cluster on this machine; `workers` None takes as many as it has room for. `gpus` are those
    of one worker: None takes one where the cluster has any. With `shards_to`, the URL of a folder that all machines
    see, workers write their rows there as Parquet and the loader reads them.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    shards_to: str | None = None


class Actor(Worker):
    """A worker in a process of its own; writes its rows to `shards_to`, if given, and returns the shard's name."""

    def __init__(self, options: WorkerOptions, shards_to: str | None) -> None:
        super().__init__(options)
        self._shards_to = shards_to

    def ready(self) -> Workbench:
        """Load the model and return what this worker works with."""
        return self.workbench

    def compute(self, run: int, prompts: Batch) -> Tables | str:
        """Attribute a batch."""
        tables = super().compute(run, prompts)
        return tables if self._shards_to is None else Store(self._shards_to, run).write(tables)


class Cluster:
    """Ray workers; a context manager that starts them and, where it started the cluster, ends it."""

    def __init__(self, options: ClusterOptions, worker: WorkerOptions) -> None:
        self._options = options
        self._worker = worker
        self._ray = _import_ray()
        self._actors: list[Any] = []

    def __enter__(self) -> Self:
        """Start the workers and wait for their models; raises ModelError, UsageError, AtlasError."""
        self._connect()
        try:
            self._actors = self._start()
            self.workbench = self._agreed()
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        for actor in self._actors:
            with suppress(Exception):
                self._ray.kill(actor)
        self._ray.shutdown()

    def left_over(self, run: int, planned: set[int], done: set[int]) -> Iterator[Tables]:
        """Yield shards of `planned` prompts that were written and not loaded; damaged ones are told of."""
        if self._options.shards_to is None:
            return
        store = Store(self._options.shards_to, run)
        for name in store.names():
            try:
                # A build of another selection may have written to the same folder.
                if (own := store.prompts(name)) <= planned and not own <= done:
                    yield store.read(name)
            except DamagedShardError as error:
                log.warning("%s It is computed again.", error)

    def work(self, run: int, batches: Iterable[Batch], load: Load[Tables], progress: Progress, stop: Stop) -> None:
        """Compute `batches` on all workers and load what comes back, as it comes.

        What was computed before an error is loaded before it rises. A worker that dies is started again, and its
        batches with it.
        """
        basket = Basket(load)
        shards = self._options.shards_to
        read = None if shards is None else Store(shards, run).read
        tasks = _Tasks(self._ray, run, iter(batches), read)
        try:
            for actor in self._actors * AHEAD:
                tasks.give(actor)
            while tasks.busy and not stop.overdue:
                for actor, batch, tables in tasks.done():
                    if not stop.requested:
                        tasks.give(actor)
                    basket.add([tables], len(batch))
                    progress.advance(len(batch))
        finally:
            basket.empty()

    def tokens(self, layer: int, neurons: Sequence[int]) -> "pa.Table":
        """Let one worker look up the tokens of some neurons of a layer."""
        return self._ray.get(self._actors[0].tokens.remote(layer, neurons))

    def activations(self, prompts: Sequence[Prompt], neurons: Sequence[Neuron]) -> "pa.Table":
        """Let one worker read some neurons in prompts of one language."""
        return self._ray.get(self._actors[0].activations.remote(prompts, neurons))

    def labels(self, prompts: Sequence[Prompt]) -> "pa.Table":
        """Let one worker spell the names of some facts."""
        return self._ray.get(self._actors[0].labels.remote(prompts))

    def answers(self, prompts: Sequence[Prompt]) -> Spelled:
        """Let one worker spell the answers of some prompts."""
        return self._ray.get(self._actors[0].answers.remote(prompts))  # type: ignore[no-any-return]

    def probabilities(self, prompts: Sequence[Prompt]) -> list[float]:
        """Let one worker say how probable the answers of some prompts are."""
        return self._ray.get(self._actors[0].probabilities.remote(prompts))  # type: ignore[no-any-return]

    def _connect(self) -> None:
        common = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": False}
        address = self._options.address
        try:
            if address is not None:
                _check_reachable(address)
                self._ray.init(address=address, **common)
            else:
                self._ray.init(
                    address="local",
                    num_cpus=max(os.cpu_count() or 1, (self._options.workers or 1) * self._threads),
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    object_store_memory=_OBJECT_STORE,
                    **common,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = "here" if address is None else f"at {address!r}"
            said = str(error).strip().splitlines()[0]
            raise AtlasError(
                f"No Ray cluster {where}: {said}; look at --ray-address, or use --engine local."
            ) from error

    @property
    def _threads(self) -> int:
        return self._worker.choice.threads or 1

    def _start(self) -> list[Any]:
        room = self._ray.cluster_resources()
        gpus = self._gpus(room)
        count = self._count(room, gpus)
        choice = self._worker.choice
        device = "cpu" if choice.device == "auto" and not gpus else choice.device
        worker = replace(self._worker, choice=replace(choice, threads=self._threads, device=device))
        remote = self._ray.remote(num_cpus=self._threads, num_gpus=gpus, max_restarts=-1, max_task_retries=RETRIES)(
            Actor
        )
        return [remote.remote(worker, self._options.shards_to) for _ in range(count)]

    def _count(self, room: Mapping[str, float], gpus: float) -> int:
        """Return how many workers there will be; raises UsageError where there is no room for them."""
        most = int(room.get("GPU", 0) / gpus) if gpus else int(room.get("CPU", 0) // self._threads)
        workers = self._options.workers or most
        if not 0 < workers <= most:
            raise UsageError(
                f"The Ray cluster has {room.get('CPU', 0):g} CPUs and {room.get('GPU', 0):g} GPUs, not enough for "
                f"{workers or 1} workers of {self._threads} CPUs and {gpus:g} GPUs; ask for fewer with --workers."
            )
        return workers

    def _gpus(self, room: Mapping[str, float]) -> float:
        if self._options.gpus is not None:
            return self._options.gpus
        return 1.0 if self._worker.choice.device in ("auto", "cuda") and room.get("GPU", 0) else 0.0

    def _agreed(self) -> Workbench:
        """Return what all workers work with; raises AtlasError if they differ, in weights or versions."""
        try:
            benches = self._ray.get([actor.ready.remote() for actor in self._actors])
        except self._ray.exceptions.RayError as error:
            raise _cause(error, "loading the model") from error
        first = benches[0]
        for other in benches[1:]:
            if other != first:
                raise AtlasError(
                    f"Ray workers differ: {_difference(first, other)}; give all machines the same packages and model."
                )
        return first  # type: ignore[no-any-return]


class _Tasks:
    """Batches at workers: who has which, and how often it may still be given out."""

    def __init__(self, ray: Any, run: int, batches: Iterator[Batch], read: Callable[[str], Tables] | None) -> None:
        self._ray = ray
        self._run = run
        self._batches = batches
        self._read = read
        self.busy: dict[Any, tuple[Any, Batch, int]] = {}

    def give(self, actor: Any) -> None:
        """Give `actor` the next batch, if there is one."""
        batch = next(self._batches, None)
        if batch is not None:
            self._submit(actor, batch, RETRIES)

    def done(self) -> list[tuple[Any, Batch, Tables]]:
        """Wait a moment and return the batches that have come back, with their worker and rows."""
        ready, _ = self._ray.wait(list(self.busy), timeout=_POLL)
        return [found for reference in ready if (found := self._finished(reference))]

    def _submit(self, actor: Any, batch: Batch, retries: int) -> None:
        self.busy[actor.compute.remote(self._run, batch)] = actor, batch, retries

    def _finished(self, reference: Any) -> tuple[Any, Batch, Tables] | None:
        """Return a batch with its rows, None if it has to be computed again."""
        actor, batch, retries = self.busy.pop(reference)
        with placed(batch):
            answer = self._answer(reference)
            try:
                return actor, batch, self._read(answer) if self._read else answer
            except DamagedShardError as error:
                if not retries:
                    raise
                log.warning("%s It is computed again.", error)
                self._submit(actor, batch, retries - 1)
                return None

    def _answer(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise _cause(error, "computing a batch") from error


def _import_ray() -> Any:
    # Read by Ray when it is imported and when it starts a cluster. Its workers would give way to all other programs.
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed; pip install 'neuron-atlas[ray]', or use --engine local.") from None
    return ray


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing answers at host:port, for which Ray itself would wait many minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()


def _cause(error: Any, doing: str) -> BaseException:
    """Return what went wrong in a worker: its own error, or a sentence about its death."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return cause
    return AtlasError(
        f"A Ray worker died {RETRIES + 1} times while {doing}: {str(error).strip().splitlines()[0]}; it may want more "
        "memory: use fewer --workers or a smaller --memory. The same command goes on where this one stopped."
    )


def _difference(one: Workbench, other: Workbench) -> str:
    if one.info != other.info:
        return f"model {one.info.name} has weights {one.info.digest} and {other.info.digest}"
    found, theirs = ({"device": bench.device, **bench.traits, **bench.versions} for bench in (one, other))
    return next(f"{name} {value} and {theirs[name]}" for name, value in found.items() if theirs[name] != value)
