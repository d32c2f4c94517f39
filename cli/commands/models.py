"""`atlas models`: which models can be used."""

from ..options import writing
from ..output.emit import STDOUT, Destination

COLUMNS = ("name", "family", "kind", "model")


@writing
def models(to: Destination = STDOUT) -> None:
    """List the families of models that can be used, with short names for `--model`."""
    import pyarrow as pa

    from atlas.models.families import FAMILIES
    from atlas.models.names import SHORT_NAMES, names_of, with_stack

    rows = [
        {
            "family": family.name,
            "kind": family.kind,
            "gated": family.gated,
            "blocks": family.blocks,
            "down_projection": family.down_projection,
            "name": name,
            "model": SHORT_NAMES.get(with_stack(name)),
            "quirks": family.quirks,
        }
        for family in FAMILIES.values()
        for name in names_of(family.name)
    ]
    to.write(pa.Table.from_pylist(rows), COLUMNS)
