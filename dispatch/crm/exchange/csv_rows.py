"""Rows of CSV files as people send them: the separator found out, rows numbered, mistakes in them told.

All is read in the thread that asks. pyarrow reads ahead in a thread of its own, which needs Python for files
and encodings of Python's: where an import ended early, and the process with it, that thread aborted it.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa

from dispatch.errors import InputError

OnRead = Callable[[int, int], None]
"""Told how much of how much is read, in rows or bytes."""

AT_ONCE: Final = 20_000
"""Rows that are given together."""
_LONGEST_HEADER: Final = 1 << 16
_SEPARATORS: Final = ",;\t|"
_QUOTED: Final = re.compile(r'"[^"]*"')
_TOLD_SEPARATOR: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The line by which spreadsheets tell each other."""
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_IS_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_IS_PHONE: Final = re.compile(r"\+?[0-9](?:[ ().-]*[0-9]){9,14}")


@dataclass(frozen=True)
class BadRow:
    """A rule that a row breaks; its values are not repeated."""

    row: int
    """counted from 1, without the header"""
    column: str
    """as the file calls it, empty where it is the row itself"""
    rule: str


class CsvRows:
    """A CSV file with a header.

    Parameters
    ----------
    path : Path
    encoding : str
        A mark at the beginning of the file that tells UTF-16 comes before ``utf-8``.

    Raises
    ------
    InputError
        It has no header, or that cannot be read.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self._encoding = path, encoding
        self.bad: list[BadRow] = []
        """rows that could not be read, as they are come upon"""
        self.num_empty = 0
        """rows of separators alone so far"""
        try:
            with self._opened() as (lines, _):
                names = next(self._reader(lines), [])
        except (OSError, UnicodeError, LookupError, csv.Error) as error:
            raise InputError(f"{path}: its header cannot be read ({error})") from error
        if not any(name.strip() for name in names):
            raise InputError(f"{path}: it has no header")
        if any(_holds_bytes(name) for name in names):
            raise InputError(f"{path}: its header cannot be read: {self._not_encoded}")
        self.names = [" ".join(name.split()) for name in names]
        """of columns, blanks and line ends made one; those without a name are empty"""
        for number, name in enumerate(self.names, 1):
            if _IS_MAIL.fullmatch(name) or _IS_PHONE.fullmatch(name):
                raise InputError(
                    f"{path}: its first line has an address of mail or a telephone number in column "
                    f"{number}: it must be a header"
                )

    def batches(
        self, wanted: Sequence[str], on_progress: OnRead
    ) -> Iterator[tuple[list[int], dict[str, pa.Array]]]:
        """Give numbers of rows (n,), from 1, and texts (n,) of columns, some rows at a time.

        Blank lines have numbers, and are passed over as rows of separators alone are.
        """
        size = self.path.stat().st_size
        places = [self.names.index(name) for name in wanted]
        try:
            with self._opened() as (lines, file):
                numbers: list[int] = []
                rows: list[list[str]] = []
                for number, cells in self._rows(lines):
                    numbers.append(number)
                    rows.append([cells[place] for place in places])
                    if len(rows) == AT_ONCE:
                        on_progress(min(file.tell(), size), size)
                        yield self._columns(numbers, rows, wanted)
                        numbers, rows = [], []
                on_progress(size, size)
                if rows:
                    yield self._columns(numbers, rows, wanted)
        except (OSError, UnicodeError) as error:
            what = self._not_encoded if isinstance(error, UnicodeError) else "it cannot be read to its end"
            raise InputError(f"{self.path}: {what}") from None  # the library's own words may quote a text

    @property
    def _not_encoded(self) -> str:
        return (
            f"a text is not in the encoding {self._encoding!r}, or is cut off; spreadsheets often write "
            "cp1252 or gb18030"
        )

    @contextmanager
    def _opened(self) -> Iterator[tuple[Iterator[str], BinaryIO]]:
        """Give the lines from the header on, and the file that they come from."""
        with self.path.open("rb") as file:
            encoding = self._encoding
            if codecs.lookup(encoding).name == "utf-8":
                encoding = "utf-16" if file.read(2) in _UTF_16 else "utf-8-sig"
                file.seek(0)
            # What cannot be decoded is kept, for the row and column to be named.
            text = io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="")
            first = text.readline(_LONGEST_HEADER)
            told = _TOLD_SEPARATOR.fullmatch(first)
            if told is not None:
                self._separator = told[1]
                yield text, file
            else:
                self._separator = max(_SEPARATORS, key=_QUOTED.sub("", first).count)
                yield _with_first(first, text), file

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._separator, strict=True)

    def _rows(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Give rows of the header's width, and their numbers; others are noted."""
        reader = self._reader(lines)
        next(reader)
        most = len(self.names)
        least = max(place for place, name in enumerate(self.names, 1) if name)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self.bad.append(BadRow(number, "", _told(error)))
                continue
            if cells is None:
                return
            if not any(cells):
                self.num_empty += bool(cells)
            elif len(cells) < least or any(cells[most:]):
                rule = f"it has {len(cells)} columns, the header has {least}"
                self.bad.append(BadRow(number, "", rule))
            else:
                yield number, cells

    def _columns(
        self, numbers: list[int], rows: list[list[str]], wanted: Sequence[str]
    ) -> tuple[list[int], dict[str, pa.Array]]:
        columns = dict(zip(wanted, zip(*rows, strict=True), strict=True))
        try:
            return numbers, {name: pa.array(column, pa.string()) for name, column in columns.items()}
        except UnicodeEncodeError:
            whole = self._decoded(numbers, rows, wanted)
        kept = {
            name: pa.array([column[place] for place in whole], pa.string())
            for name, column in columns.items()
        }
        return [numbers[place] for place in whole], kept

    def _decoded(self, numbers: list[int], rows: list[list[str]], wanted: Sequence[str]) -> list[int]:
        """Give the places of rows whose texts are all decoded; the others are noted."""
        whole = []
        for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
            broken = [name for name, cell in zip(wanted, row, strict=True) if _holds_bytes(cell)]
            self.bad += [BadRow(number, name, self._not_encoded) for name in broken]
            if not broken:
                whole.append(place)
        return whole


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _holds_bytes(text: str) -> bool:
    """Tell whether a text holds bytes that could not be decoded."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def _told(error: csv.Error) -> str:
    """Give what is wrong with quotation marks in a row, without quoting it."""
    if "expected after" in str(error):
        return "letters stand behind a closing quotation mark"
    return "a quotation mark opens a text that does not end: it is cut off, or the mark should be two"
