"""A day's rows as one file: Parquet by row groups, or CSV without a live formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.spreadsheets import defuse_row
from airflow_provider_sms.store.frames.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from airflow_provider_sms.store.frames.fields import Field

    Parts = Iterable[list[Sequence[Any]]]


def write_parquet(file: BinaryIO, fields: Sequence[Field], parts: Parts) -> int:
    """
    Write parts as the row groups of a Parquet file; the same rows make the same bytes.

    Types come from the fields, never from the rows: texts ``string``, labels a dictionary of them, whole
    numbers ``int64``, numbers ``double``, times ``timestamp[us, UTC]``, days ``date32``.

    :param file: where to, open for writing bytes.
    :return: how many rows.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        Kind.TEXT: pa.string(),
        Kind.LABEL: pa.dictionary(pa.int32(), pa.string()),
        Kind.WHOLE: pa.int64(),
        Kind.MAYBE_WHOLE: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
        Kind.DAY: pa.date32(),
    }
    schema = pa.schema([pa.field(field.name, types[field.kind]) for field in fields])
    rows = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for columns in parts:
            arrays = [
                _array(pa, field.kind, types[field.kind], values)
                for field, values in zip(fields, columns, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows += len(columns[0])
    return rows


def _array(pa: Any, kind: Kind, wanted: Any, values: Sequence[Any]) -> Any:
    if kind is Kind.LABEL:
        return pa.array(values, pa.string()).dictionary_encode()
    if kind is Kind.NUMBER:
        # Balances are decimals.
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, wanted)


def write_csv(file: BinaryIO, fields: Sequence[Field], parts: Parts) -> int:
    """
    Write parts as CSV for spreadsheets: UTF-8 with a mark that they know it by, a header, ISO times in UTC.

    No cell is one that a spreadsheet takes for a formula.

    :param file: where to, open for writing bytes.
    :return: how many rows.
    """
    rows = 0
    times = [place for place, field in enumerate(fields) if field.kind is Kind.TIME]
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(field.name for field in fields)
    for columns in parts:
        shown: list[Iterable[Any]] = list(columns)
        for place in times:
            shown[place] = map(_iso, columns[place])
        writer.writerows(map(defuse_row, zip(*shown, strict=True)))
        rows += len(columns[0])
    text.flush()
    text.detach()
    return rows


def _iso(moment: datetime | None) -> str:
    # Always with six decimals: pandas takes a column's form from its first row and refuses any other.
    return "" if moment is None else moment.isoformat(timespec="microseconds")
