"""Reads the rows of a Parquet file, a few at a time: a kilobyte of a file can hold gigabytes, since repeated values are
stored once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.data.raw_row import DEPTH, LISTED, RawRow

ROWS = 1000
BATCH_BYTES = 1 << 25
"""About so much is decoded at once."""
AT_ONCE = 8
"""Rows of which Python objects are made at once."""
BOMB_BYTES = 1 << 28
BOMB_RATIO = 1000
"""Texts are packed five to twenty times. What unpacks to so much, and to so many times its size, was made to fill a disk."""


def parquet_rows(path: Path, wanted: Sequence[str] = ()) -> Iterator[RawRow]:
    """The rows in order; of the columns that hold the wanted ones alone, if any are named."""
    with _readable(path):
        file = _opened(path)
        strings = _string_columns(file.schema_arrow)
        if strings:
            file = _opened(path, strings)
        names = file.schema_arrow.names
        kept = [name for name in names if any(f"{one}.".startswith(f"{name}.") for one in wanted)]
        number = decoded = 0
        size = path.stat().st_size
        _refuse_a_bomb(path, max(_column_bytes(file.metadata, kept), default=0), size)
        for batch in file.iter_batches(batch_size=_batch_rows(file.metadata), columns=kept or None):
            for start in range(0, batch.num_rows, AT_ONCE):
                for cells in batch.slice(start, AT_ONCE).to_pylist():
                    number += 1
                    yield RawRow(f"row {number}", cells)
                    decoded += sum(len(cell) for cell in cells.values() if isinstance(cell, str | bytes))
                _refuse_a_bomb(path, decoded, size)


def parquet_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns, and of the fields within them."""
    with _readable(path):
        schema = _opened(path).schema_arrow
    names = [*schema.names]
    for column in schema:
        names.extend(f"{column.name}.{inner}" for inner in _fields(column.type, DEPTH))
    return tuple(names[:LISTED])


def parquet_holds(path: Path, name: str) -> bool:
    """Whether there is such a column, field of an object or item of a list."""
    with _readable(path):
        schema = _opened(path).schema_arrow
    return name in schema.names or any(
        name.startswith(f"{column.name}.") and _holds(column.type, name[len(column.name) + 1 :]) for column in schema
    )


def _holds(kind: Any, name: str) -> bool:
    from pyarrow import types

    first, dot, rest = name.partition(".")
    if types.is_struct(kind):
        found = [field.type for field in kind if field.name == first]
        return bool(found) and (not dot or _holds(found[0], rest))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return first.isdigit() and (not dot or _holds(kind.value_type, rest))
    return False


def _fields(kind: Any, depth: int) -> Iterator[str]:
    from pyarrow import types

    if types.is_struct(kind) and depth:
        for field in kind:
            yield field.name
            yield from (f"{field.name}.{deeper}" for deeper in _fields(field.type, depth - 1))


def _string_columns(schema: Any) -> list[str]:
    """Those that can be read as a dictionary of their values, which holds each value once."""
    from pyarrow import types

    return [column.name for column in schema if types.is_string(column.type) or types.is_binary(column.type)]


def _column_bytes(metadata: Any, names: Sequence[str]) -> Iterator[int]:
    """The uncompressed size of each part of a column that is read."""
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if not names or any(f"{column.path_in_schema}.".startswith(f"{name}.") for name in names):
                yield column.total_uncompressed_size


def _refuse_a_bomb(path: Path, decoded: int, size: int) -> None:
    if decoded > BOMB_BYTES and decoded > BOMB_RATIO * size:
        raise CompressError(
            f"{path} has {size:,} bytes that unpack to {decoded >> 20:,} MB of repeated text or more: no data set does so. "
            "Write the file again from its source."
        )


def _batch_rows(metadata: Any) -> int:
    """So many rows that what they take, uncompressed, is not much on average."""
    rows = max(1, metadata.num_rows)
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    return max(1, min(ROWS, BATCH_BYTES * rows // max(1, size)))


def _opened(path: Path, strings: list[str] | None = None) -> Any:
    from pyarrow.parquet import ParquetFile

    return ParquetFile(path, read_dictionary=strings)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise CompressError(f"{path} is not a Parquet file that can be read ({reason[:150]}).") from error
    except MemoryError as error:
        raise CompressError(
            f"{path} has values that take more memory than there is. Write it again with fewer rows in a row group."
        ) from error
