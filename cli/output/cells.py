"""Values of a result as JSON values and as text: shortest exact numbers, ISO times, nothing lost."""

import json
import math
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from atlas import schema

EXACT = 2**53 - 1
"""The largest whole number that readers of JSON with doubles for numbers, such as JavaScript, read as it is."""


def rows(table: pa.Table, *, numbers_as_text: bool = False) -> Iterator[list[Any]]:
    """Yield each row of `table` as JSON values, one batch in memory at a time.

    With `numbers_as_text`, columns of ids and those that hold a whole number beyond `EXACT` are strings throughout.
    """
    texts = {name for name in table.column_names if numbers_as_text and _too_wide(name, table[name])}
    for batch in table.to_batches(max_chunksize=10_000):
        columns = [_plain(batch.column(name), as_text=name in texts) for name in table.column_names]
        yield from (list(row) for row in zip(*columns, strict=True))


def plain(value: Any, type_: pa.DataType) -> Any:
    """Return `value` as a JSON value; NaN and infinities are the strings `NaN`, `Infinity`, `-Infinity`.

    Whole numbers beyond `EXACT` inside lists and structs are strings.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value, narrow=pa.types.is_float32(type_))
    if isinstance(value, list):
        return _list(value, type_)
    if isinstance(value, dict):
        return {key: _inner(item, type_.field(key).type) for key, item in value.items()}
    return _scalar(value)


def text(value: Any) -> str:
    """Return a JSON value as one cell of text: strings as they are, lists and structs as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def rounded(table: pa.Table, digits: int = 3) -> pa.Table:
    """Return `table` with its floating numbers rounded, for eyes."""
    from pyarrow import compute  # slow to import, and most results are not rounded

    columns = [compute.round(c, digits) if pa.types.is_floating(c.type) else c for c in table.columns]
    return pa.table(columns, names=table.column_names)


def _too_wide(name: str, column: pa.ChunkedArray) -> bool:
    """True for a column of ids, or of whole numbers of which one is beyond `EXACT`."""
    if pa.types.is_decimal(column.type):
        return column.type.scale == 0 and any(value is not None and abs(value) > EXACT for value in column.to_pylist())
    if not pa.types.is_integer(column.type) or column.type.bit_width < 64:
        return False
    chunks = (chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks)
    return name in schema.IDS or any(bool(((chunk > EXACT) | (chunk < -EXACT)).any()) for chunk in chunks)


def _plain(column: pa.Array, as_text: bool) -> list[Any]:
    values = [plain(value, column.type) for value in _values(column)]
    return [None if value is None else str(value) for value in values] if as_text else values


def _values(column: pa.Array) -> list[Any]:
    """Return the column's values; times that Python cannot hold, such as infinity, as text."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        if isinstance(scalar, pa.MapScalar):
            return [(_value(pair[0]), _value(pair[1])) for pair in scalar.values]
        if isinstance(scalar, pa.ListScalar):
            return [_value(each) for each in scalar.values]
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(scalar[name]) for name in scalar}
        return scalar.cast(pa.string()).as_py()


def _number(value: float, *, narrow: bool) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    # A float32 widened to a double shows digits that it never had: 0.1 as 0.10000000149011612.
    return float(str(np.float32(value))) if narrow else value


def _list(value: list[Any], type_: pa.DataType) -> Any:
    if pa.types.is_map(type_):
        return {text(plain(key, type_.key_type)): _inner(item, type_.item_type) for key, item in value}
    return [_inner(item, type_.value_type) for item in value]


def _inner(value: Any, type_: pa.DataType) -> Any:
    found = plain(value, type_)
    return str(found) if isinstance(found, int) and abs(found) > EXACT else found


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, pa.MonthDayNano):
        return f"P{value.months}M{value.days}DT{_number(value.nanoseconds / 1e9, narrow=False)}S"
    return str(value)


def _decimal(value: Decimal) -> int | float | str:
    _, digits, exponent = value.as_tuple()
    if exponent == 0:
        return int(value)
    # A double keeps 15 decimal digits whatever they are; longer numbers stay text.
    return float(value) if len(digits) <= 15 else str(value)
