"""The settings of the exam: a base, and one thing varied at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from atlas.models import Position
from atlas.planted.config import PlantConfig

Axis = Literal[
    "base", "background", "circuits", "layers", "translations", "position", "attention", "suppressors",
    "several circuits", "shared neurons",
]  # fmt: skip
BACKGROUNDS = (0.03, 0.2, 0.3)
POSITIONS: tuple[Position, ...] = ("query", "subject")


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of model that scorers are examined on: what differs from the base, and how many facts it knows.

    `at` is the position that they are asked at; on the axis `position` some facts are recalled at the subject.
    """

    axis: Axis
    config: PlantConfig
    facts: int = 20
    at: Position = "query"
    attention: int = 0
    suppressors: int = 0
    several: int = 0
    pairs: int = 0

    @property
    def name(self) -> str:
        """The setting as tables name it."""
        value = {
            "base": "",
            "background": f" {self.config.background:g}",
            "circuits": f" {self.facts}",
            "layers": f" {self.config.layers}",
            "translations": " compete",
            "position": f" {self.at}",
            "attention": f" {self.attention}",
            "suppressors": f" {self.suppressors}",
            "several circuits": f" {self.several}",
            "shared neurons": f" {self.pairs}",
        }
        return self.axis + value[self.axis]

    @property
    def prompts(self) -> int:
        """Prompts that a scorer is put to in one model."""
        return self.facts * len(self.config.languages) * self.config.templates


def base_setting(family: Literal["bert", "gpt2"]) -> Setting:
    """Return the base: 4 layers, 64 wide, weak background, 20 facts, 3 languages."""
    return Setting("base", PlantConfig(family=family))


def standard_grid(family: Literal["bert", "gpt2"]) -> Iterator[Setting]:
    """Yield the base and the settings around it."""
    base = base_setting(family)
    yield base
    yield from (Setting("background", replace(base.config, background=background)) for background in BACKGROUNDS)
    yield Setting("circuits", base.config, 10)
    yield Setting("circuits", replace(base.config, hidden=128), 40)  # 64 coordinates hold 23 facts
    yield Setting("layers", replace(base.config, layers=2))
    yield Setting("layers", replace(base.config, layers=8))
    yield Setting("translations", replace(base.config, language_lead=6.0))
    yield from (Setting("position", base.config, 12, at) for at in POSITIONS)
    yield Setting("attention", base.config, attention=4)
    yield Setting("suppressors", base.config, suppressors=3)
    yield Setting("several circuits", base.config, 12, several=4)
    yield Setting("shared neurons", base.config, 12, pairs=3)
