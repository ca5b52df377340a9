"""Import of customers and drivers from files: whole, or not at all.

Rows are checked and brought to one form, those about the same person are found, and all is entered in one
transaction. Where a single row breaks a rule, nothing is; the row, its column and the rule are named, the
value is not.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.exchange.duplicates import NOBODY, Duplicate, Seen
from dispatch.crm.exchange.import_files import BadRow, ImportFile
from dispatch.crm.exchange.import_people import CustomerImport, DriverImport, People
from dispatch.crm.people.persons import TABLE
from dispatch.crm.people.phones import check_region
from dispatch.crm.rules import check_one_of
from dispatch.errors import InputError

ON_DUPLICATE: Final = ("report", "skip", "update")
MOST_LISTED: Final = 100_000
"""Duplicates that a report lists; all are counted."""
MOST_BAD: Final = 100
"""Broken rows after which an import looks no further."""
_KIND: Final[Mapping[str, Callable[[Context, int, int, str], People]]] = MappingProxyType(
    {"customer": CustomerImport, "driver": DriverImport}
)


@dataclass
class ImportReport:
    """What an import did, or would do."""

    path: Path
    columns: Mapping[str, tuple[str, ...]]
    """columns of the file, by the fields that they made up"""
    ignored: tuple[str, ...]
    """columns that no field took"""
    rows: int = 0
    new: int = 0
    """persons entered, or to be entered"""
    updated: int = 0
    """persons changed by later rows about them"""
    num_duplicates: int = 0
    num_unclear: int = 0
    """duplicates of them that name two persons at once"""
    duplicates: list[Duplicate] = field(default_factory=list)
    """the first :data:`MOST_LISTED` of them"""
    bad: list[BadRow] = field(default_factory=list)
    """rows that break a rule: :data:`MOST_BAD` at most"""
    done: bool = False
    """whether it is in the database"""

    def write(self, path: Path) -> None:
        """Write duplicates and broken rows as CSV: numbers of rows and names of columns, no values.

        Raises
        ------
        InputError
            The folder is not there.
        """
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder does not exist")
        unfinished = path.with_name(path.name + ".part")
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            told = csv.writer(file)
            told.writerow(["row", "what", "by", "of_row", "of_person", "rule"])
            for one in self.duplicates:
                what = "unclear" if one.also else "duplicate"
                rule = f"{', '.join(one.also)} is somebody else's" if one.also else ""
                told.writerow([one.row, what, one.by, one.of_row, one.person_id, rule])
            for bad in self.bad:
                told.writerow([bad.row, "broken", bad.column, None, None, bad.rule])
        unfinished.replace(path)


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read, and what is done about persons who are known.

    Parameters
    ----------
    mapping : mapping of str to str
        Fields, and what the file calls them: ``{"phone": "Mobile", "name": "First + Last",
        "custom.size": "Size"}``. What is called as usual is found without.
    region : str
        Country of phone numbers without a country code, ``US``; empty: all must have one.
    on_duplicate : str
        ``report``: where there are any, nothing is imported; ``skip``: they are left out; ``update``:
        what they tell takes the place of what was known.
    dry_run : bool
        Tell what would be done, and do nothing.
    encoding : str
        Of CSV.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    on_duplicate: str = "report"
    dry_run: bool = False
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Refuse what is unknown."""
        check_one_of("on_duplicate", self.on_duplicate, ON_DUPLICATE)
        if self.region:
            check_region(self.region)


def import_people(
    context: Context,
    kind: str,
    path: Path,
    *,
    scope_id: int,
    at_ms: int,
    options: ImportOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import customers or drivers into one place: all of the file, or nothing.

    Parameters
    ----------
    context : Context
    kind : str
        ``customer`` or ``driver``.
    path : Path
        CSV with a header, or Parquet.
    scope_id, at_ms : int
    options : ImportOptions, optional
    on_progress : callable, optional
        Told how much of how much is read, in rows or bytes.

    Returns
    -------
    ImportReport
        Its ``done`` tells whether anything was entered.

    Raises
    ------
    InputError
        A row breaks a rule, unless it is a dry run: the first is named; or the file is none.
    AuthError
        The actor may not.
    """
    check_one_of("kind", kind, tuple(_KIND))
    check_instant("at_ms", at_ms)
    options = options or ImportOptions()
    people: People = _KIND[kind](context, scope_id, at_ms, options.region)
    file = ImportFile(path, people.usual, options.mapping, options.encoding)
    if not set(people.keys) & set(file.columns):
        raise InputError(
            f"{path}: no column tells who somebody is: one of {', '.join(people.keys)} must be there, or "
            "be told by the mapping"
        )
    report = ImportReport(path, file.columns, file.ignored)
    noted: dict[str, Any] = {"on_duplicate": options.on_duplicate, "fields": sorted(file.columns)}
    opened: AbstractContextManager[sa.Connection]
    if options.dry_run:
        # It tells who is known already, which leaves an entry; no writer waits for the reading after it.
        with context.acting(f"{kind}.import_check", scope_id=scope_id, at_ms=at_ms, details=noted):
            pass
        opened = context.database.reading()
    else:
        opened = context.acting(f"{kind}.import", scope_id=scope_id, at_ms=at_ms, details=noted)
    try:
        with opened as connection:
            _Import(connection, people, file, options, report).run(
                on_progress or (lambda _done, _total: None)
            )
            noted |= {"rows": report.rows, "new": report.new, "updated": report.updated}
            if not options.dry_run:
                _undo_unless_fine(report, options)
                report.done = True
    except _LeftAloneError:
        return report
    return report


class _LeftAloneError(Exception):
    """Undoes the transaction of an import that only reports."""


def _undo_unless_fine(report: ImportReport, options: ImportOptions) -> None:
    if report.bad:
        first = report.bad[0]
        more = f" (and {len(report.bad) - 1} rows more)" if len(report.bad) > 1 else ""
        column = f", column {first.column!r}" if first.column else ""
        raise InputError(
            f"{report.path}: row {first.row:,}{column}: {first.rule}{more}; nothing was imported"
        )
    if report.num_duplicates and options.on_duplicate == "report":
        raise _LeftAloneError


class _Import:
    """An import under way."""

    def __init__(
        self,
        connection: sa.Connection,
        people: People,
        file: ImportFile,
        options: ImportOptions,
        report: ImportReport,
    ) -> None:
        self.connection, self.people, self.file = connection, people, file
        self.options, self.report = options, report
        table = TABLE[people.kind]
        anybody = connection.scalar(
            sa.select(table.c.scope_id).where(table.c.scope_id == people.scope_id).limit(1)
        )
        known = None if anybody is None else lambda key, values: people.known(connection, key, values)
        self.seen = Seen(people.keys, known)

    def run(self, on_progress: Callable[[int, int], None]) -> None:
        """Go through the file."""
        report, broken = self.report, self.file.bad
        for rows, texts in self.file.batches(on_progress):
            report.rows += len(rows)
            good, columns = self._checked(rows, texts)
            found = self.seen.look(good, columns)
            self._count(found)
            if len(report.bad) + len(broken) >= MOST_BAD:
                break
            given_up = (
                report.bad or broken or (self.options.on_duplicate == "report" and report.num_duplicates)
            )
            if not self.options.dry_run and not given_up:
                self._write(found, columns)
        report.rows += len(broken)
        report.bad = sorted([*report.bad, *broken], key=lambda one: one.row)[:MOST_BAD]

    def _checked(
        self, rows: list[int], texts: dict[str, list[Any]]
    ) -> tuple[list[int], dict[str, list[Any]]]:
        """Give the rows that break no rule, and their columns in one form."""
        keys = [texts[key] for key in self.people.keys if key in texts]
        if all(any(value is not None for value in told) for told in zip(*keys, strict=True)):
            try:
                return rows, self.people.read(texts)
            except InputError:
                return self._one_by_one(rows, texts)
        return self._one_by_one(rows, texts)

    def _one_by_one(
        self, rows: list[int], texts: dict[str, list[Any]]
    ) -> tuple[list[int], dict[str, list[Any]]]:
        """Check rows one by one: to name those that break a rule."""
        good, read = [], []
        keys = [key for key in self.people.keys if key in texts]
        for row, told in zip(rows, zip(*texts.values(), strict=True), strict=True):
            values = {name: value for name, value in zip(texts, told, strict=True) if value is not None}
            if not any(key in values for key in keys):
                self.report.bad.append(BadRow(row, "", f"none of {', '.join(keys)} is told: it is nobody's"))
                continue
            try:
                read.append(self.people.read_one(values))
                good.append(row)
            except InputError as error:
                name = str(error).partition(" ")[0]
                column = " + ".join(self.file.columns.get(name, ()))
                self.report.bad.append(BadRow(row, column, str(error)))
        names = dict.fromkeys("custom" if name.startswith("custom.") else name for name in texts)
        return good, {name: [one.get(name) for one in read] for name in names}

    def _count(self, found: list[Duplicate | None]) -> None:
        report = self.report
        known = [one for one in found if one is not None]
        unclear = sum(bool(one.also) for one in known)
        report.new += len(found) - len(known)
        report.num_duplicates += len(known)
        report.num_unclear += unclear
        report.duplicates += known[: max(0, MOST_LISTED - len(report.duplicates))]
        if self.options.dry_run and self.options.on_duplicate == "update":
            report.updated += len(known) - unclear

    def _write(self, found: list[Duplicate | None], columns: dict[str, list[Any]]) -> None:
        """Enter who is new, and change who is not, where that is wanted."""
        fresh = [place for place, one in enumerate(found) if one is None]
        if fresh:
            chosen = columns
            if len(fresh) < len(found):
                chosen = {name: [values[place] for place in fresh] for name, values in columns.items()}
            self.seen.enter(fresh, self.people.enter(self.connection, chosen))
        if self.options.on_duplicate != "update":
            return
        changes: dict[int, dict[str, Any]] = {}
        about = []
        for place, one in enumerate(found):
            if one is None or one.also:
                continue
            person = self.seen.person_at(place)
            if person == NOBODY:
                continue  # the row before it was unclear itself
            about.append(person)
            told = {name: values[place] for name, values in columns.items() if values[place] is not None}
            changes.setdefault(person, {}).update(told)
        changed = self.people.change(self.connection, changes) if changes else set()
        self.report.updated += sum(person in changed for person in about)
