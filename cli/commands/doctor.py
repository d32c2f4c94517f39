"""`atlas doctor`: is everything in order?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..exits import ExitCode
from ..options import DEFAULT_DB, Db, FormatOption, Json, chosen
from ..output.emit import emit
from ..output.formats import Format


def doctor(
    db: Db = DEFAULT_DB,
    model: Annotated[
        str | None,
        typer.Option(help="Check this model, not the atlas: a short name, a Hugging Face id or a folder."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ..., mps or offload.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Number type to check the model in; float64 asks for most.")] = "float32",
    revision: Annotated[str | None, typer.Option(help="Revision of the model to pin.")] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load weights that are not safetensors.")
    ] = False,
    digest: Annotated[
        bool, typer.Option("--digest", help="Print a digest of the atlas' content and nothing else.")
    ] = False,
    format_: FormatOption = None,
    json: Json = False,
) -> None:
    """Check the installation and the atlas, or whether a model is computed as its own code does.

    The exit code is 1 if something is wrong; warnings alone leave it 0. Atlases of the same content have the same
    digest, in whatever order and in however many pieces they were filled.
    """
    import pyarrow as pa

    if digest:
        _print_digest(db, chosen(format_, json))
        return

    from atlas.doctor.job import examine, examine_model

    from ..output.progress import TerminalProgress

    if model is None:
        findings = list(examine(db))
    else:
        options = {"device": device, "dtype": dtype, "revision": revision}
        findings = list(
            examine_model(model, **options, allow_pickle=allow_pickle, progress=TerminalProgress())  # type: ignore[arg-type]
        )
    emit(pa.Table.from_pylist([asdict(finding) for finding in findings]), chosen(format_, json), None)
    if any(finding.status == "wrong" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _print_digest(db: Path, format_: Format | None) -> None:
    import pyarrow as pa

    import atlas
    from atlas.store.digest import digest

    with atlas.open(db) as opened:
        found = digest(opened)
    if format_ is None:
        print(found)
    else:
        emit(pa.table({"digest": [found]}), format_, None)
