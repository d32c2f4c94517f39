"""`atlas schema`: what tables and views there are, and what their columns mean."""

from typing import Annotated

import typer

from ..options import writing
from ..output.emit import STDOUT, Destination


@writing
def schema(
    name: Annotated[str | None, typer.Argument(help="A table or view, such as likn.", metavar="[VIEW]")] = None,
    to: Destination = STDOUT,
) -> None:
    """List the tables and views of an atlas, or the columns of one with their meaning."""
    import pyarrow as pa

    from atlas.store import docs

    to.write(pa.Table.from_pylist(docs.overview() if name is None else docs.described(name)))
