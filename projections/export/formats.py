"""Rows of tables as files: lines of JSON, packed or not, and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from pydantic_core import to_json

from projections.export.arrow_columns import arrow_schema, library, plain
from projections.export.atomic_files import packed
from tracker.errors import SettingsError

Format = Literal["jsonl", "jsonl.gz", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
# Takes rows, each a value a column.
Write = Callable[[Sequence[Sequence[Any]]], object]

# Of one row group of Parquet: enough to pack well, and tens of megabytes at most.
_ROWS_IN_A_GROUP = 50_000


def format_of(file: Path | None, said: str | None) -> Format:
    """The format that is said, else the one that the name of a file ends in.

    Raises SettingsError where it is none of `FORMATS`, and where its library is missing.
    """
    name = "" if file is None else file.name
    found = said or next((it for it in FORMATS if name.endswith(f".{it}")), None)
    if found not in FORMATS:
        known = ", ".join(FORMATS)
        if found is not None:
            raise SettingsError(f"{found!r} is no format of tables: {known}")
        raise SettingsError(
            f"{name or 'a file'}: in which format? Say one of {known}, or end its name so"
        )
    if found == "parquet":
        library("pyarrow", "arrow")
    return found


@contextmanager
def writing(opened: BinaryIO, format: Format, columns: Mapping[str, type]) -> Iterator[Write]:
    """What writes rows of these columns to an opened file, which is whole after the block."""
    if format == "parquet":
        with _parquet(opened, columns) as write:
            yield write
    elif format == "jsonl.gz":
        with packed(opened) as lines:
            yield _json_lines(lines.write, columns)
    else:
        yield _json_lines(opened.write, columns)


def _json_lines(write: Callable[[bytes], object], columns: Mapping[str, type]) -> Write:
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
def _parquet(opened: BinaryIO, columns: Mapping[str, type]) -> Iterator[Write]:
    pa, parquet = library("pyarrow", "arrow"), library("pyarrow.parquet", "arrow")
    schema = arrow_schema(columns)
    kinds = list(columns.values())
    waiting: list[Any] = []

    def write_rows(rows: Sequence[Sequence[Any]]) -> None:
        values = zip(kinds, zip(*rows, strict=True), strict=True)
        arrays = [
            pa.array(plain(kind, column), field.type)
            for (kind, column), field in zip(values, schema, strict=True)
        ]
        waiting.append(pa.record_batch(arrays, schema=schema))
        if sum(batch.num_rows for batch in waiting) >= _ROWS_IN_A_GROUP:
            flush()

    def flush() -> None:
        writer.write_table(pa.Table.from_batches(waiting, schema))
        waiting.clear()

    with parquet.ParquetWriter(opened, schema, compression="zstd") as writer:
        yield write_rows
        if waiting:
            flush()
