"""Files that are imported: CSV and Parquet, some rows at a time, their columns by the names of our fields."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from dispatch.errors import InputError

OnRead = Callable[[int, int], None]
"""Told how much of how much is read, in rows or bytes."""

_AT_ONCE: Final = 20_000
_BLOCK_BYTES: Final = 1 << 22
_LONGEST_HEADER: Final = 1 << 16
_SEPARATORS: Final = ",;\t|"
_JOINED: Final = "+"
"""``first_name + last_name``: a field of two columns, with a blank between."""


@dataclass(frozen=True)
class BadRow:
    """A row that breaks a rule; its values are not repeated."""

    row: int
    """counted from 1, without the header"""
    column: str
    """as the file calls it, empty where it is the row itself"""
    rule: str


@dataclass
class ImportFile:
    """A file, and which of its columns are which of our fields.

    Parameters
    ----------
    path : Path
        ``.parquet``, or else CSV with a header; the separator is found out.
    usual : mapping of str to tuple of str
        Fields, and what files usually call them.
    mapping : mapping of str to str
        Fields, and what this file calls them: comes before what is usual.
    encoding : str
        Of CSV.

    Raises
    ------
    InputError
        There is no such file, it cannot be read, a column is missing, or is there twice.
    """

    path: Path
    usual: Mapping[str, tuple[str, ...]]
    mapping: Mapping[str, str]
    encoding: str = "utf-8"
    columns: dict[str, tuple[str, ...]] = field(init=False)
    """columns of the file, by the field that they make up"""
    ignored: tuple[str, ...] = field(init=False)
    """columns of the file that no field takes"""
    bad: list[BadRow] = field(init=False, default_factory=list)
    """rows that could not be read at all, as they are come upon"""

    def __post_init__(self) -> None:
        """Read the names of columns, and find fields in them."""
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file")
        names = self._parquet_names() if self._is_parquet else self._header()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self.path}: the column {twice[0]!r} is there twice")
        self.columns = _found(names, self.usual, self.mapping, self.path)
        used = {name for some in self.columns.values() for name in some}
        self.ignored = tuple(name for name in names if name not in used)

    def batches(self, on_progress: OnRead) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Give numbers of rows, from 1, and texts by fields, None for empty cells; some rows at a time."""
        number = 0
        read = self._parquet_batches if self._is_parquet else self._csv_batches
        for batch in read(on_progress):
            rows, broken = [], {one.row for one in self.bad}
            for _ in range(batch.num_rows):
                number += 1
                while number in broken:
                    number += 1
                rows.append(number)
            yield rows, {name: self._texts(batch, some) for name, some in self.columns.items()}

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() in (".parquet", ".pq")

    def _texts(self, batch: pa.RecordBatch, names: Sequence[str]) -> list[str | None]:
        parts = [_trimmed(batch.column(name), name, self.path) for name in names]
        if len(parts) == 1:
            told: list[str | None] = parts[0].to_pylist()
            return told
        rows = zip(*(part.to_pylist() for part in parts), strict=True)
        return [" ".join(value for value in row if value is not None) or None for row in rows]

    def _wanted(self) -> list[str]:
        return list(dict.fromkeys(name for some in self.columns.values() for name in some))

    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: no Parquet file ({error})") from error

    def _parquet_names(self) -> list[str]:
        try:
            return list(self._parquet().schema_arrow.names)
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: no Parquet file ({error})") from error

    def _parquet_batches(self, on_progress: OnRead) -> Iterator[pa.RecordBatch]:
        file, done = self._parquet(), 0
        with file:
            parts = file.iter_batches(_AT_ONCE, columns=self._wanted())
            while (batch := self._next_of(parts)) is not None:
                done += batch.num_rows
                on_progress(done, file.metadata.num_rows)
                yield batch

    def _next_of(self, parts: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(parts, None)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            # The library's own words may quote a value.
            raise InputError(f"{self.path}: a page of it is damaged: it cannot be read to its end") from None

    def _header(self) -> list[str]:
        try:
            with self.path.open("rb") as file:
                line = file.readline(_LONGEST_HEADER).decode(self.encoding).removeprefix("\ufeff")
        except (OSError, UnicodeDecodeError, LookupError) as error:
            raise InputError(f"{self.path}: its header cannot be read ({error})") from error
        self._separator = max(_SEPARATORS, key=line.count)
        if "\r" in line.rstrip("\r\n"):
            raise InputError(f"{self.path}: its lines end as on old Macintoshes: save it with other ends")
        names = next(csv.reader([line], delimiter=self._separator), [])
        if not any(names):
            raise InputError(f"{self.path}: it has no header")
        return names

    def _csv_batches(self, on_progress: OnRead) -> Iterator[pa.RecordBatch]:
        def refuse(row: pyarrow.csv.InvalidRow) -> str:
            rule = f"it has {row.actual_columns} columns, the header has {row.expected_columns}"
            self.bad.append(BadRow(row.number - 1, "", rule))
            return "skip"

        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            try:
                yield from self._parsed(file, refuse, lambda: on_progress(min(file.tell(), size), size))
            except (pa.ArrowException, UnicodeError) as error:
                # The library's own words may quote a row.
                is_text = isinstance(error, UnicodeError) or "UTF8" in str(error)
                what = "a text is not in the encoding" if is_text else "it is no CSV"
                raise InputError(f"{self.path}: {what} {self.encoding!r}, or is cut off") from None

    def _parsed(
        self, file: IO[bytes], refuse: Callable[[Any], str], told: Callable[[], None]
    ) -> Iterator[pa.RecordBatch]:
        wanted = self._wanted()
        reader = pyarrow.csv.open_csv(
            file,
            # One thread: only then rows that are refused are numbered.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, encoding=self.encoding
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=wanted,
                strings_can_be_null=False,
            ),
        )
        with reader:
            for batch in reader:
                for start in range(0, batch.num_rows, _AT_ONCE):
                    told()
                    yield batch.slice(start, _AT_ONCE)


def _trimmed(column: pa.Array, name: str, path: Path) -> pa.Array:
    """Give texts without blanks around them; what is empty then is none."""
    if pa.types.is_floating(column.type) or pa.types.is_nested(column.type):
        raise InputError(
            f"{path}: the column {name!r} is of {column.type}: it must be texts or whole numbers"
        )
    try:
        texts = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
        texts.validate(full=True)  # a file may hold any bytes and call them texts
    except pa.ArrowException:
        raise InputError(
            f"{path}: the column {name!r} is of {column.type}: it holds what is no text"
        ) from None
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _found(
    names: Sequence[str], usual: Mapping[str, tuple[str, ...]], mapping: Mapping[str, str], path: Path
) -> dict[str, tuple[str, ...]]:
    """Find the columns of each field: those told first, then those that are called as usual."""
    found: dict[str, tuple[str, ...]] = {}
    for name, told in mapping.items():
        if name not in usual and not name.startswith("custom."):
            known = ", ".join([*usual, "custom.FIELD"])
            raise InputError(f"mapping has the field {name!r}: it must be one of {known}")
        some = (told,) if told in names else tuple(part.strip() for part in told.split(_JOINED))
        for one in some:
            if one not in names:
                raise InputError(f"{path}: it has no column {one!r} for {name}; it has {', '.join(names)}")
        found[name] = some
    taken = {one for some in found.values() for one in some}
    plain = {_plain(name): name for name in reversed(names) if name not in taken}
    for name, words in usual.items():
        if name in found:
            continue
        for word in words:
            parts = word.split(_JOINED)
            if all(part in plain for part in parts):
                found[name] = tuple(plain.pop(part) for part in parts)
                break
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
