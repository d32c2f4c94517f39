"""Where Ray finds its workers, as plain values: known without Ray."""

from dataclasses import dataclass


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
