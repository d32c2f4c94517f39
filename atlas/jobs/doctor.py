"""Is everything in order? Versions, disk, the atlas file and what stands in it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Literal

import atlas
from atlas.errors import AtlasError

if TYPE_CHECKING:
    from atlas.store.checks import CheckResult

_PACKAGES = ("neuron-atlas", "torch", "transformers", "duckdb", "sqlalchemy", "duckdb-engine", "pyarrow")
_LITTLE_DISK = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; `remedy` says what to do if it is not `ok`."""

    status: Literal["ok", "warning", "wrong"]
    subject: str
    detail: str
    remedy: str = ""


def examine(path: Path) -> Iterator[Finding]:
    """Yield findings about the installation, the disk and the atlas at `path`; never raises for a broken atlas."""
    from atlas.store import checks

    yield Finding("ok", "python", python_version())
    yield from (_package(name) for name in _PACKAGES)
    yield _disk(path)
    try:
        with atlas.open(path) as opened:
            yield Finding("ok", "atlas", ", ".join(f"{key} {value}" for key, value in opened.info().items()))
            yield from map(_checked, checks.run(opened))
    except AtlasError as error:
        yield Finding("wrong", "atlas", str(error))


def _package(name: str) -> Finding:
    try:
        return Finding("ok", name, version(name))
    except PackageNotFoundError:
        return Finding("wrong", name, "is not installed", "install neuron-atlas again")


def _disk(path: Path) -> Finding:
    folder = next(parent for parent in path.resolve().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):,.1f} GB free"
    if free < _LITTLE_DISK:
        return Finding("warning", "disk", detail, "make room before a build")
    return Finding("ok", "disk", detail)


def _checked(result: "CheckResult") -> Finding:
    if result.ok:
        return Finding("ok", result.check.name, "none")
    detail = f"{result.rows:,}, first {result.sample.slice(0, 1).to_pylist()[0]}"
    return Finding("warning" if result.check.harmless else "wrong", result.check.name, detail, result.check.remedy)
