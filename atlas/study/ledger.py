"""What a study was asked, and which of its steps are done: a file in its folder, by which it goes on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas import outputs
from atlas.errors import StoreError, UsageError

NAME = "study.json"


@dataclass
class Ledger:
    """The file `study.json` of `folder`: `asked` is what the study was asked, `done` what each step gave, by name."""

    folder: Path
    asked: Mapping[str, Any]
    done: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, folder: Path, asked: Mapping[str, Any]) -> "Ledger":
        """Open the ledger of `folder` or begin one; UsageError for a folder of another study or of anything else.

        One that lies there alone with nothing done, as a wrong option leaves it, is begun anew.
        """
        path, wanted = folder / NAME, json.loads(json.dumps(asked))
        if not path.exists():
            outputs.check_empty(folder, "--out")
            folder.mkdir(parents=True, exist_ok=True)
            return cls(folder, wanted, {})._written()
        before, done = _read(path)
        if not done and list(folder.iterdir()) == [path]:
            return cls(folder, wanted, {})._written()
        if other := sorted(name for name in {*before, *wanted} if before.get(name) != wanted.get(name)):
            raise UsageError(
                f"{folder} holds a study that was asked otherwise ({', '.join(other)}); name a new folder with --out."
            )
        return cls(folder, wanted, done)

    def add(self, step: str, found: dict[str, Any]) -> None:
        """Note what a step gave, and write the file; one that fails again for the same reason stays as it is."""
        if "failed" not in found or found["failed"] != self.done.get(step, {}).get("failed"):
            self.done[step] = found
            self._written()

    def _written(self) -> "Ledger":
        text = json.dumps({"asked": self.asked, "done": self.done}, ensure_ascii=False, indent=1)
        with outputs.whole_file(self.folder / NAME, "--out", ours=True) as part:
            part.write_text(text + "\n", "utf-8")
        return self


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what a ledger's study was asked and what is done; StoreError for a file that is none."""
    try:
        match json.loads(path.read_text("utf-8")):
            case {"asked": dict(asked), "done": dict(done)} if all(isinstance(found, dict) for found in done.values()):
                return asked, done
        raise ValueError("it is not as a study writes it")
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a new folder with --out.") from error
