"""`atlas models`: which models can be used."""

from ..options import FormatOption, Json, Output, chosen
from ..output.emit import emit


def models(format_: FormatOption = None, json: Json = False, output: Output = None) -> None:
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
    emit(pa.Table.from_pylist(rows), chosen(format_, json), output)
