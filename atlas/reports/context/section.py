"""What a page says of one model's run: figures, warnings, pictures, tables."""

from dataclasses import dataclass

from atlas.reports.context.parts import Figure, Link, Table, Warning
from atlas.reports.context.pictures import Heat, Picture


@dataclass(frozen=True, slots=True)
class Section:
    """One run of a model, or with an empty `run` what holds for all; `more` leads to the rest."""

    id: str
    title: str
    method: str
    run: str
    more: Link
    figures: tuple[Figure, ...]
    warnings: tuple[Warning, ...]
    layers: tuple[Heat, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
