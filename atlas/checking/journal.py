"""Signals that were read so far, in a file beside the atlas: a job that was broken off goes on from there."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atlas.checking.signals import Asked, Sets, Signals
from atlas.errors import StoreError
from atlas.ids import stable_id


@dataclass(frozen=True)
class Journal:
    """The signals of batches of claims, in order: `kept`, and a line for each in a file."""

    path: Path
    kept: list[list[Signals]]

    @classmethod
    def of(cls, db: Path, claims: Sequence[Asked], *read_by: object) -> "Journal":
        """Return the journal of `claims` and of what they are `read_by`, JSON values, with what its file holds."""
        sets = {id(claim.sets): _named(claim.sets) for claim in claims}
        asked = [[sets[id(claim.sets)], claim.spoken, *(prompt.id for prompt in claim.prompts)] for claim in claims]
        path = db.with_name(f"{db.stem}.check-{stable_id('signals', asked, *read_by)}.jsonl")
        return cls(path, list(_kept(path)))

    def add(self, signals: Sequence[Signals]) -> None:
        """Keep the signals of the next batch; StoreError where the file cannot be written."""
        line = json.dumps([_values(one) for one in signals])
        try:
            with self.path.open("a", encoding="ascii") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error}); make room beside the atlas.") from error
        self.kept.append(list(signals))

    def remove(self) -> None:
        """Remove the file, whose signals have come to their verdicts."""
        self.path.unlink(missing_ok=True)


def _named(sets: Sets) -> int:
    return stable_id("sets", sorted([*name, [list(neuron) for neuron in members]] for name, members in sets.items()))


def _kept(path: Path) -> Iterator[list[Signals]]:
    """Yield the batches of a file, and cut off what was not written to its end."""
    whole = 0
    with suppress(ValueError, TypeError, KeyError):
        for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
            yield [_signals(values) for values in json.loads(line)]
            whole += len(line) + 1
    if path.exists():
        os.truncate(path, whole)


def _values(signals: Signals) -> dict[str, Any]:
    """Return signals as JSON has them, where no pair is a key."""
    score = [[*name, value] for name, value in signals.score.items()]
    neurons = [[*name, [[*neuron, value] for neuron, value in own.items()]] for name, own in signals.neurons.items()]
    return {**asdict(signals), "score": score, "neurons": neurons}


def _signals(values: dict[str, Any]) -> Signals:
    score = {(evidence, language): value for evidence, language, value in values["score"]}
    neurons = {
        (evidence, language): {(layer, neuron): value for layer, neuron, value in own}
        for evidence, language, own in values["neurons"]
    }
    return Signals(**{**values, "score": score, "neurons": neurons})
