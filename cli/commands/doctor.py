"""`atlas doctor`: is everything in order?"""

from dataclasses import asdict

import typer

from ..exits import ExitCode
from ..options import DEFAULT_DB, Db, FormatOption, Json, chosen
from ..output.emit import emit


def doctor(db: Db = DEFAULT_DB, format_: FormatOption = None, json: Json = False) -> None:
    """Check the installation and the atlas.

    The exit code is 1 if something is wrong; warnings alone leave it 0.
    """
    import pyarrow as pa

    from atlas.jobs.doctor import examine

    findings = list(examine(db))
    emit(pa.Table.from_pylist([asdict(finding) for finding in findings]), chosen(format_, json), None)
    if any(finding.status == "wrong" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)
