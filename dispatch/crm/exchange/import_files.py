"""Files that are imported: CSV and Parquet, some rows at a time, their columns by the names of our fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dispatch.crm.exchange.csv_rows import AT_ONCE, BadRow, CsvRows, OnRead
from dispatch.crm.exchange.spreadsheets import freed
from dispatch.crm.rules import check_letters
from dispatch.errors import InputError

_JOINED: Final = "+"
"""``first_name + last_name``: a field of two columns, with a blank between."""
_NAME: Final = "name"
"""The field whose column is looked at: ``Customer`` is a name in one file, and a number in another."""
_NUMBERS: Final = r"\A#?[A-Za-z]{0,3}[-_.#/]?[0-9][-_./0-9]*\z"
"""``1001``, ``C-1001``, ``2024/17``"""


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
    guessed: tuple[str, ...] = field(init=False)
    """fields whose columns were found by what they are called, not told by the mapping"""
    ignored: tuple[str, ...] = field(init=False)
    """columns of the file that no field takes"""

    def __post_init__(self) -> None:
        """Read the names of columns, and find fields in them."""
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file")
        self._csv = None if self._is_parquet else CsvRows(self.path, self.encoding)
        names = self._parquet_names() if self._csv is None else self._csv.names
        for number, name in enumerate(names, 1):
            # They are told in messages: who sent the file must not steer the terminal of who looks at it.
            check_letters(f"{self.path}: the name of column {number}", name)
        self.names = [name for name in names if name]
        self._find(())
        only = self.columns.get(_NAME, ())
        while _NAME in self.guessed and len(only) == 1 and self._is_numbers(only[0]):
            self._find({*only, *self._not_names})
            only = self.columns.get(_NAME, ())

    def batches(self, on_progress: OnRead) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Give numbers of rows, from 1, and texts by fields, None for empty cells; some rows at a time."""
        for rows, columns in self._arrays(self._wanted(), on_progress):
            yield rows, {name: self._texts(columns, some) for name, some in self.columns.items()}

    @property
    def bad(self) -> list[BadRow]:
        """Rows that could not be read at all, as they are come upon."""
        return [] if self._csv is None else self._csv.bad

    @property
    def num_empty(self) -> int:
        """Rows of separators alone, so far: they are passed over."""
        return 0 if self._csv is None else self._csv.num_empty

    def _find(self, not_names: Collection[str]) -> None:
        self._not_names = not_names
        self.columns = _found(self.names, self.usual, self.mapping, self.path, not_names)
        self.guessed = tuple(name for name in self.columns if name not in self.mapping)
        used = {name for some in self.columns.values() for name in some}
        self.ignored = tuple(name for name in self.names if name not in used)
        twice = sorted(name for name in used if self.names.count(name) > 1)
        if twice:
            raise InputError(f"{self.path}: the column {twice[0]!r} is there twice")

    def _is_numbers(self, name: str) -> bool:
        """Tell whether the first texts of a column are numbers of persons or the like, all of them."""
        looked = CsvRows(self.path, self.encoding) if self._csv is not None else None
        batches = self._arrays([name], lambda _done, _total: None, looked)
        first = next(batches, None)
        batches.close()
        if first is None:
            return False
        texts = pc.drop_null(_trimmed(first[1][name], name, self.path))
        return len(texts) > 0 and bool(pc.all(pc.match_substring_regex(texts, _NUMBERS)).as_py())

    def _arrays(
        self, wanted: Sequence[str], on_progress: OnRead, rows: CsvRows | None = None
    ) -> Generator[tuple[list[int], Mapping[str, pa.Array]], None, None]:
        """Give numbers of rows (n,), and columns (n,) as they are in the file."""
        if self._csv is not None:
            yield from (rows or self._csv).batches(wanted, on_progress)
            return
        number = 0
        for batch in self._parquet_batches(wanted, on_progress):
            numbers = list(range(number + 1, number + 1 + batch.num_rows))
            number += batch.num_rows
            yield numbers, {name: batch.column(name) for name in wanted}

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() in (".parquet", ".pq")

    def _texts(self, columns: Mapping[str, pa.Array], names: Sequence[str]) -> list[str | None]:
        parts = [_trimmed(columns[name], name, self.path) for name in names]
        if not self._is_parquet:
            parts = [freed(part) for part in parts]  # the apostrophes of our own exports
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

    def _parquet_batches(self, wanted: Sequence[str], on_progress: OnRead) -> Iterator[pa.RecordBatch]:
        file, done = self._parquet(), 0
        with file:
            parts = file.iter_batches(AT_ONCE, columns=list(wanted))
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
    names: Sequence[str],
    usual: Mapping[str, tuple[str, ...]],
    mapping: Mapping[str, str],
    path: Path,
    not_names: Collection[str],
) -> dict[str, tuple[str, ...]]:
    """Find the columns of each field: those told first, then those that are called as usual."""
    found: dict[str, tuple[str, ...]] = {}
    for name, told in mapping.items():
        if name not in usual and not name.startswith("custom."):
            known = ", ".join([*usual, "custom.FIELD"])
            raise InputError(f"mapping has the field {name!r}: it must be one of {known}")
        some = (told,) if told in names else tuple(" ".join(part.split()) for part in told.split(_JOINED))
        for one in some:
            if one not in names:
                raise InputError(f"{path}: it has no column {one!r} for {name}; it has {', '.join(names)}")
        found[name] = some
    taken = {one for some in found.values() for one in some}
    plain: dict[str, list[str]] = {}
    for name in names:
        if name not in taken:
            plain.setdefault(_plain(name), []).append(name)
    for name, words in usual.items():
        if name in found:
            continue
        for word in words:
            parts = word.split(_JOINED)
            if not all(part in plain for part in parts):
                continue
            alike = [plain[part] for part in parts]
            if name == _NAME and len(parts) == 1 and set(alike[0]) <= set(not_names):
                continue
            for some_names in alike:
                if len(set(some_names)) > 1:
                    raise InputError(
                        f"{path}: the columns {' and '.join(map(repr, some_names))} are called alike: the "
                        f"mapping must tell which is {name}"
                    )
            found[name] = tuple(plain.pop(part)[0] for part in parts)
            break
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
