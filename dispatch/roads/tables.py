"""One table from a Parquet or CSV file: columns under any of their usual names, types checked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.units import NO_INDEX

SUFFIXES: Final = (".parquet", ".csv")
"""Kinds of files that are read; the first wins where both are there."""

CSV_EMPTY: Final = ("", "NULL", "null", "None", "NA", "N/A")
"""What stands for an empty cell in CSV files; ``nan`` is a number that is none."""


END_OF_TIMES_MS: Final = 7_258_118_400_000
"""Start of the year 2200; instants before 1970 or from then on are mistakes of a clock."""


def impossible_times(at_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which instants (n,), in milliseconds since the epoch, lie outside of 1970…2199."""
    wrong: NDArray[np.bool_] = (at_ms < 0) | (at_ms >= END_OF_TIMES_MS)
    return wrong


@dataclass(frozen=True)
class Dropped:
    """Rows of a source that were left out, and why."""

    what: str
    """Reason, in words"""
    count: int
    """Number of rows"""
    where: str
    """File that they stand in"""


class Sieve:
    """Which rows of a table are kept, and how many were left out for what reason.

    A row counts once, for the first reason that applies.
    """

    def __init__(self, num_rows: int, where: str) -> None:
        self.keep = np.ones(num_rows, np.bool_)
        self.drops: list[Dropped] = []
        self._where = where

    def drop(self, what: str, bad: NDArray[np.bool_]) -> None:
        """Leave out the rows of a mask (rows,)."""
        count = int(np.count_nonzero(self.keep & bad))
        if count:
            self.keep &= ~bad
            self.drops.append(Dropped(what, count, self._where))


@dataclass(frozen=True)
class Column:
    """A column to look for."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other names in files, lower case; an earlier one wins"""
    kind: Literal["number", "whole", "text", "time", "flag"] = "number"
    required: bool = False


@dataclass(frozen=True)
class Table:
    """The columns that were found, by the name of their :class:`Column`."""

    path: Path
    columns: dict[str, pa.ChunkedArray]
    found_as: dict[str, str]
    """Name in the file of each column"""
    present: list[str]
    """Names of all columns of the file"""
    num_rows: int
    num_bad_lines: int
    """Lines of a CSV file that were skipped, because they have a wrong number of fields"""

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def wrong(self, name: str, rule: str) -> InputError:
        """Make the error that says what a column should hold."""
        return InputError(
            f"{self.path}: column {self.found_as[name]!r} ({name}) holds {self.columns[name].type}; {rule}"
        )

    def floats(self, name: str) -> NDArray[np.float64]:
        """Give a column of numbers, NaN where it is empty."""
        column = self.columns[name]
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise self.wrong(name, "it must hold numbers")
        return np.array(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)

    def wholes(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Give a column of whole numbers, and which rows have one; the others hold 0.

        A column of floats is read if all of them are whole: empty cells turn integers into floats.
        """
        column = self.columns[name]
        if pa.types.is_integer(column.type):
            values, known = column.fill_null(0), column.is_valid()
        elif pa.types.is_floating(column.type) or pa.types.is_null(column.type):
            numbers = column.cast(pa.float64())
            known = pc.fill_null(pc.is_finite(numbers), False)
            values = pc.if_else(known, numbers, 0.0)
        else:
            raise self.wrong(name, "it must hold whole numbers")
        try:
            whole = values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise self.wrong(name, f"it must hold whole numbers ({error})") from error
        return np.array(whole.to_numpy(), np.int64), np.array(known.to_numpy(), np.bool_)

    def texts(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Give a column of texts as codes into a list, NO_INDEX where it is empty."""
        column = self.columns[name]
        if pa.types.is_null(column.type):
            return np.full(self.num_rows, NO_INDEX, np.int32), []
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise self.wrong(name, "it must hold texts")
        encoded = column.combine_chunks().dictionary_encode()
        codes = np.array(encoded.indices.fill_null(NO_INDEX).to_numpy(zero_copy_only=False), np.int32)
        return codes, encoded.dictionary.to_pylist()

    def filled(self, name: str) -> NDArray[np.bool_]:
        """Tell which rows of a column are not empty."""
        return np.array(self.columns[name].is_valid().to_numpy(), np.bool_)

    def is_text(self, name: str) -> bool:
        """Tell whether a column holds texts."""
        kind = self.columns[name].type
        return bool(
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
        )

    def drops(self) -> tuple[Dropped, ...]:
        """Name what reading itself left out."""
        if not self.num_bad_lines:
            return ()
        return (Dropped("lines with a wrong number of fields", self.num_bad_lines, self.path.name),)


def find_table(folder: Path, stem: str) -> Path | None:
    """Find ``stem.parquet`` or ``stem.csv`` in a folder."""
    return next((path for s in SUFFIXES if (path := folder / f"{stem}{s}").is_file()), None)


def read_table(path: Path, columns: Sequence[Column]) -> Table:
    """Read the given columns of a Parquet or CSV file, as far as it has them.

    Parameters
    ----------
    path : Path
        The suffix decides: ``.parquet`` or ``.csv`` (comma, one header line, UTF-8).
    columns : sequence of Column
        Names are compared without regard to case and surrounding blanks.

    Returns
    -------
    Table
        With at least one row.

    Raises
    ------
    InputError
        The file is missing, no table, truncated, empty, lacks a required column or holds a wrong value.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: a table must be one of {', '.join(SUFFIXES)}")
    table = _read_parquet(path, columns) if path.suffix == ".parquet" else _read_csv(path, columns)
    if not table.num_rows:
        raise InputError(f"{path}: the table has no rows")
    return table


def match_columns(path: Path, columns: Sequence[Column], present: Sequence[str]) -> dict[str, int]:
    """Give the position in a file of each column that it has, by the :class:`Column`'s name.

    Raises
    ------
    InputError
        A required column is missing.
    """
    position = {name.strip().lower(): i for i, name in reversed(list(enumerate(present)))}
    found: dict[str, int] = {}
    missing: list[str] = []
    for column in columns:
        names = (column.name, *column.aliases)
        match = next((position[name] for name in names if name in position), None)
        if match is not None:
            found[column.name] = match
        elif column.required:
            missing.append(
                f"{column.name!r} (or {', '.join(column.aliases)})" if column.aliases else f"{column.name!r}"
            )
    if missing:
        raise InputError(
            f"{path}: missing column {' and '.join(missing)}; the file has "
            f"{', '.join(name.strip() for name in present)}"
        )
    return found


def _read_parquet(path: Path, columns: Sequence[Column]) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            present = file.schema_arrow.names
            found = match_columns(path, columns, present)
            table = file.read(columns=[present[i] for i in found.values()], use_threads=True)
            num_rows = file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: no readable Parquet file, perhaps truncated ({error})") from error
    read = {name: table.column(present[i]) for name, i in found.items()}
    return Table(path, read, {name: present[i] for name, i in found.items()}, present, num_rows, 0)


def _read_csv(path: Path, columns: Sequence[Column]) -> Table:
    header, num_fields = _csv_header(path)
    found = match_columns(path, columns, header)
    # Some published files end each line with more commas than the header has: their columns are nameless.
    # Positions before the names keep columns apart whose names are equal.
    names = [f"{i}:{name}" for i, name in enumerate([*header, *[""] * (num_fields - len(header))])]
    types = {"number": pa.float64(), "text": pa.string()}
    kinds = {column.name: column.kind for column in columns}
    bad_lines: list[Any] = []

    def skip(row: Any) -> str:
        bad_lines.append(row)
        return "skip"

    def read(use_threads: bool) -> pa.Table:
        bad_lines.clear()
        return pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=use_threads),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[names[i] for i in found.values()] or names[:1],
                column_types={
                    names[i]: types[kinds[name]] for name, i in found.items() if kinds[name] in types
                },
                null_values=list(CSV_EMPTY),
                strings_can_be_null=True,
            ),
        )

    try:
        try:
            table = read(use_threads=True)
        except pa.ArrowInvalid:
            table = read(use_threads=False)  # fails again, and this time the message names the row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: no readable CSV file; its columns are {names} ({error})") from error
    columns_read = {name: table.column(names[i]) for name, i in found.items()}
    return Table(
        path,
        columns_read,
        {name: header[i] for name, i in found.items()},
        header,
        table.num_rows,
        len(bad_lines),
    )


def _csv_header(path: Path) -> tuple[list[str], int]:
    """Give the names of a CSV file's columns, and how many fields its first line has."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            first = next((line for line in lines if line), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no readable CSV file ({error})") from error
    if not header:
        raise InputError(f"{path}: the file is empty, it must begin with a line of column names")
    return header, max(len(header), len(first))
