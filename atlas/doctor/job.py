"""Is everything in order? Versions, disk, the atlas file and what stands in it, or a model."""

import glob
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from platform import python_version
from tempfile import gettempdir
from typing import TYPE_CHECKING, Literal

import atlas
from atlas.errors import AtlasError
from atlas.running.choice import ModelChoice
from atlas.running.progress import Progress

if TYPE_CHECKING:
    from atlas.doctor.outcome import Outcome
    from atlas.models import LanguageModel
    from atlas.store.integrity import CheckResult
    from atlas.store.structure import Difference

_PACKAGES = ("neuron-atlas", "torch", "transformers", "duckdb", "sqlalchemy", "duckdb-engine", "pyarrow")
_LITTLE_DISK = 1 << 30

Status = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; `remedy` says what to do if it is not `ok`."""

    status: Status
    subject: str
    detail: str
    remedy: str = ""


def examine(path: Path) -> Iterator[Finding]:
    """Yield findings about the installation, the disk and the atlas at `path`; never raises for a broken atlas."""
    from atlas.store import integrity, structure

    yield Finding("ok", "python", python_version())
    yield from (_package(name) for name in _PACKAGES)
    yield _disk(path)
    yield from _leftovers(path)
    try:
        with atlas.open(path) as opened:
            yield Finding("ok", "atlas", ", ".join(f"{key} {value}" for key, value in opened.info().items()))
            yield from _compared(structure.differences(opened))
            yield from _checked(integrity.run(opened))
    except AtlasError as error:
        yield Finding("wrong", "atlas", str(error))


def examine_model(choice: ModelChoice, progress: Progress) -> Iterator[Finding]:
    """Yield findings about the installation and about how the atlas's engine agrees with a model; see `conformance`.

    Raises ModelError for a model that cannot be loaded.
    """
    from atlas import facts
    from atlas.doctor.suite import conformance

    yield from (_package(package) for package in _PACKAGES)
    progress.step(f"loading model {choice.model}")
    model = choice.load()
    info = model.info
    yield Finding("ok", "model", f"{info.family}, {info.kind}, {info.layers} layers of {info.neurons:,} neurons")
    save = _room_for(model)
    progress.step(f"comparing with the model's own runs in {choice.dtype}")
    for outcome in conformance(model, list(facts.read("bundled").prompts()), save=save):
        progress.step(f"{outcome.check}: {outcome.error:.1e}")
        yield _conforming(outcome, choice.dtype)
    if not save:
        yield Finding("warning", "save and reload", "left out", "make room in the folder for temporary files")


def _room_for(model: "LanguageModel") -> bool:
    size = sum(parameter.nbytes for parameter in model.model.parameters())
    return shutil.disk_usage(gettempdir()).free > 2 * size + _LITTLE_DISK


def _conforming(outcome: "Outcome", dtype: str) -> Finding:
    detail = f"{outcome.error:.1e} of {outcome.allowed:.1e} allowed: {outcome.detail}"
    if outcome.ok:
        return Finding("ok", outcome.check, detail)
    status, remedy = _out_of_bounds(outcome, dtype)
    return Finding(status, outcome.check, detail, remedy)


def _out_of_bounds(outcome: "Outcome", dtype: str) -> tuple[Status, str]:
    """Return a status and a remedy: in bfloat16 its three digits can be all of it."""
    if dtype == "bfloat16" and outcome.allowed and isfinite(outcome.error):
        return "warning", "see whether it is so with --dtype float32, too"
    return "wrong", "do not use this model; report its name and the installed versions"


def _package(name: str) -> Finding:
    try:
        return Finding("ok", name, version(name))
    except PackageNotFoundError:
        return Finding("wrong", name, "is not installed", "install neuron-atlas again")


def _disk(path: Path) -> Finding:
    place = path.resolve()
    folder = next(parent for parent in (*place.parents, place) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):,.1f} GB free"
    if free < _LITTLE_DISK:
        return Finding("warning", "disk", detail, "make room before a build")
    return Finding("ok", "disk", detail)


def _leftovers(path: Path) -> Iterator[Finding]:
    """Yield a warning of what commands that were killed left beside the atlas."""
    endings = ("*.new", "*.new.wal", "upgrade", "upgrade.wal", "*.part")
    found = sorted(each.name for ending in endings for each in path.parent.glob(f".{glob.escape(path.name)}.{ending}"))
    if found:
        remedy = "remove them if no atlas command is running; the atlas does not need them"
        yield Finding("warning", "leftovers", f"{len(found)} in {path.parent}: {', '.join(found)}", remedy)


def _compared(found: "Sequence[Difference]") -> Iterator[Finding]:
    """Yield what in the atlas is not what this version makes, and in one finding what it has beside."""
    for each in found:
        if not each.harmless:
            remedy = "`atlas upgrade` puts it right" if each.mended else "restore a copy of the atlas"
            yield Finding("wrong", f"{each.kind} {each.name}", each.what, remedy)
    if extra := [f"{each.kind} {each.name}" for each in found if each.harmless]:
        yield Finding("warning", "made by others", ", ".join(extra), "look at what they say before you use them")


def _checked(results: "Sequence[CheckResult]") -> Iterator[Finding]:
    """Yield one finding for all checks that found nothing, and one for each that found something."""
    yield Finding("ok", "checks", f"{sum(result.ok for result in results)} of {len(results)} found nothing wrong")
    for result in results:
        if not result.ok:
            detail = f"{result.rows:,}, first {result.sample.slice(0, 1).to_pylist()[0]}"
            status: Status = "warning" if result.check.harmless else "wrong"
            yield Finding(status, result.check.name, detail, result.check.remedy)
