"""The file formats of exported tables: JSON lines, plain or gzip, and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from pydantic_core import to_json

from projections.export.arrow_columns import arrow_schema, convert_values, import_library
from projections.export.atomic_files import open_gzip
from tracker.errors import SettingsError

Format = Literal["jsonl", "jsonl.gz", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
# Writes rows, each of them one value per column.
WriteRows = Callable[[Sequence[Sequence[Any]]], object]

# Enough to compress well, and tens of megabytes at most.
_ROWS_PER_GROUP = 50_000


def format_of(file: Path | None, requested: str | None) -> Format:
    """Returns the requested format, or else the one of the file's suffix.

    Raises SettingsError where it is not one of `FORMATS`, or its library is missing.
    """
    name = "" if file is None else file.name
    found = requested or next((it for it in FORMATS if name.endswith(f".{it}")), None)
    if found not in FORMATS:
        known = ", ".join(FORMATS)
        if found is not None:
            raise SettingsError(f"{found!r} is not a format of tables: {known}")
        raise SettingsError(
            f"no format for {name or 'the file'}: pass one of {known}, or use it as the suffix"
        )
    if found == "parquet":
        import_library("pyarrow", "arrow")
    return found


@contextmanager
def open_writer(
    opened: BinaryIO, format: Format, columns: Mapping[str, type]
) -> Iterator[WriteRows]:
    """Yields a function that writes rows to a file, which is complete after the block."""
    if format == "parquet":
        with _open_parquet(opened, columns) as write:
            yield write
    elif format == "jsonl.gz":
        with open_gzip(opened) as lines:
            yield _json_writer(lines.write, columns)
    else:
        yield _json_writer(opened.write, columns)


def _json_writer(write: Callable[[bytes], object], columns: Mapping[str, type]) -> WriteRows:
    names = list(columns)

    def write_rows(rows: Sequence[Sequence[Any]]) -> None:
        write(
            b"".join(
                to_json(dict(zip(names, row, strict=True)), inf_nan_mode="strings") + b"\n"
                for row in rows
            )
        )

    return write_rows


@contextmanager
def _open_parquet(opened: BinaryIO, columns: Mapping[str, type]) -> Iterator[WriteRows]:
    pa = import_library("pyarrow", "arrow")
    parquet = import_library("pyarrow.parquet", "arrow")
    schema = arrow_schema(columns)
    types = list(columns.values())
    pending: list[Any] = []

    def write_rows(rows: Sequence[Sequence[Any]]) -> None:
        values = zip(types, zip(*rows, strict=True), strict=True)
        arrays = [
            pa.array(convert_values(type_, column), field.type)
            for (type_, column), field in zip(values, schema, strict=True)
        ]
        pending.append(pa.record_batch(arrays, schema=schema))
        if sum(batch.num_rows for batch in pending) >= _ROWS_PER_GROUP:
            flush()

    def flush() -> None:
        writer.write_table(pa.Table.from_batches(pending, schema))
        pending.clear()

    with parquet.ParquetWriter(opened, schema, compression="zstd") as writer:
        yield write_rows
        if pending:
            flush()
