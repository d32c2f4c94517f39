"""Ray workers against one: how much a second worker gains, and what handing out 1,000 batches costs.

`python -m benchmarks.scale` prints a table. Start-up (the cluster, the model) is left out of both.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from atlas.attribution import Settings
from atlas.building import ray
from atlas.building.computing import Tables, Worker, WorkerOptions
from atlas.building.plan import Plan, make_plan
from atlas.building.ray import Cluster, ClusterOptions
from atlas.facts import read
from atlas.running.choice import ModelChoice
from atlas.running.progress import Progress
from atlas.running.stopping import Stop
from atlas.running.work import Batch
from benchmarks.tables import Table

TRIVIAL_BATCHES = 1000
TRIVIAL_SECONDS = 0.02
"""Work of a trivial batch, asleep: some 2 prompts of the bundled model."""


class Sleeper(ray.Actor):
    """A worker whose batches take a known time and whose rows are those of its first batch."""

    def compute(self, run: int, batch: Batch) -> Tables | str:
        """Return rows after the time that a trivial batch takes."""
        time.sleep(TRIVIAL_SECONDS)
        if not hasattr(self, "rows"):
            self.rows = super().compute(run, batch)
        return self.rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=40, help="batches of the compute-bound job")
    batches = parser.parse_args().batches
    options = WorkerOptions(ModelChoice(device="cpu", threads=1), Settings())
    work = list(_plan().batches(8))
    one, two = (_seconds(options, workers, work[:batches]) for workers in (1, 2))
    local = _local(options, work[:batches])
    trivial = [work[0][:1]] * TRIVIAL_BATCHES
    with _actor(Sleeper):
        asleep = _seconds(options, 2, trivial)
    least = TRIVIAL_BATCHES * TRIVIAL_SECONDS / 2
    rows = [
        (f"{batches} batches of 8 prompts or more, in this process", local, ""),
        (f"{batches} batches of 8 prompts or more, 1 worker", one, ""),
        (f"{batches} batches of 8 prompts or more, 2 workers", two, f"{one / two:.2f} times one worker"),
        (f"{TRIVIAL_BATCHES:,} batches of {TRIVIAL_SECONDS} s, 2 workers", asleep, f"{1 - least / asleep:.0%} lost"),
    ]
    print(Table("Ray workers, one thread each", ("job", "seconds", "result"), rows).text())


def _plan() -> Plan:
    return make_plan(read("bundled"))


def _local(options: WorkerOptions, batches: Sequence[Batch]) -> float:
    worker = Worker(options)
    worker.compute(0, batches[0])
    start = time.perf_counter()
    for batch in batches:
        worker.compute(0, batch)
    return time.perf_counter() - start


def _seconds(options: WorkerOptions, workers: int, batches: Sequence[Batch]) -> float:
    """Return how long `workers` take for `batches`, each of them warm."""
    with Cluster(ClusterOptions(workers=workers), options) as cluster:
        cluster.work(0, [batches[0]] * (2 * workers), _forget, Progress(), Stop())
        start = time.perf_counter()
        cluster.work(0, batches, _forget, Progress(), Stop())
        return time.perf_counter() - start


def _forget(_: Sequence[Any]) -> None:
    """Load nothing: what is measured is the handing out."""


@contextmanager
def _actor(kind: type[ray.Actor]) -> Iterator[None]:
    """Let clusters start workers of `kind`."""
    usual, ray.Actor = ray.Actor, kind  # type: ignore[misc]
    try:
        yield
    finally:
        ray.Actor = usual  # type: ignore[misc]


if __name__ == "__main__":
    main()
