"""Import of customers and drivers from files: whole, or not at all.

Rows are checked and brought to one form, those about the same person are found, and all is entered in one
transaction. Where a single row breaks a rule, nothing is; rows, their columns and the rules are named, values
are not. A row that shares an address of mail, or the like, with somebody of another telephone or member
number is unclear: it changes nobody, and is left out only where that is asked for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.exchange.csv_rows import BadRow
from dispatch.crm.exchange.duplicates import NOBODY, Duplicate, Keys, Seen
from dispatch.crm.exchange.exporting import whole_file
from dispatch.crm.exchange.import_files import ImportFile
from dispatch.crm.exchange.import_people import CustomerImport, DriverImport, People
from dispatch.crm.exchange.spreadsheets import guarded_text
from dispatch.crm.people.persons import TABLE
from dispatch.crm.people.phones import check_region
from dispatch.crm.rules import check_one_of
from dispatch.errors import InputError

ON_DUPLICATE: Final = ("report", "skip", "update")
MOST_LISTED: Final = 100_000
"""Duplicates that a report lists; all are counted."""
ON_UNCLEAR: Final = ("report", "skip")
MOST_BAD: Final = 10_000
"""Faults that a report lists; after so many an import looks no further."""
_TOGETHER: Final = 200
"""Texts that are checked together until one of them breaks a rule: one by one takes ten times as long."""
_NAMED: Final = 3
"""Faults that an error names."""
_SPELLINGS: Final = MappingProxyType({"birthday": "birthday_mmdd"})
"""Other names of fields."""
_KIND: Final[Mapping[str, Callable[[Context, int, int, str], People]]] = MappingProxyType(
    {"customer": CustomerImport, "driver": DriverImport}
)


@dataclass
class ImportReport:
    """What an import did, or would do."""

    path: Path
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """columns of the file, by the fields that they made up"""
    guessed: tuple[str, ...] = ()
    """fields whose columns were guessed by what they are called"""
    ignored: tuple[str, ...] = ()
    """columns that no field took"""
    rows: int = 0
    new: int = 0
    """persons entered, or to be entered"""
    updated: int = 0
    """persons changed by later rows about them"""
    num_duplicates: int = 0
    num_unclear: int = 0
    """duplicates of which cannot be told whom they are about: two persons at once, or somebody else"""
    num_empty: int = 0
    """rows that tell of nobody: they are passed over"""
    duplicates: list[Duplicate] = field(default_factory=list)
    """the first :data:`MOST_LISTED` of them"""
    bad: list[BadRow] = field(default_factory=list)
    """rules that rows break, all of each row: :data:`MOST_BAD` at most"""
    told_until: int | None = None
    """the row after which faults are not told, where there are :data:`MOST_BAD` of them"""
    fault: str = ""
    """why the file as a whole could not be read"""
    done: bool = False
    """whether it is in the database"""

    @property
    def num_broken(self) -> int:
        """How many rows break a rule."""
        return len({one.row for one in self.bad})

    def write(self, path: Path) -> None:
        """Write what was made of columns, duplicates and faults as CSV: names and numbers of rows, no values.

        Raises
        ------
        InputError
            The folder is not there.
        StoreError
            It cannot be written.
        """
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder does not exist")
        with whole_file(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
            told = csv.writer(file)
            told.writerow(["row", "what", "by", "of_row", "of_person", "rule"])
            # Names of columns are the file's.
            told.writerows(
                [None if one is None else guarded_text(str(one)) for one in row] for row in self._rows()
            )

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for name, some in self.columns.items():
            how = "guessed" if name in self.guessed else "told"
            yield None, "column", " + ".join(some), None, None, f"it is {name}, {how}"
        for column in self.ignored:
            yield None, "column", column, None, None, "it is ignored"
        for one in self.duplicates:
            what = "unclear" if one.is_unclear else "duplicate"
            yield one.row, what, one.by, one.of_row, one.person_id, why_unclear(one)
        for bad in self.bad:
            yield bad.row, "broken", bad.column, None, None, bad.rule
        if self.told_until is not None:
            rule = f"{MOST_BAD:,} faults or more: those after this row are not told"
            yield self.told_until, "cut", None, None, None, rule
        if self.fault:
            yield None, "file", None, None, None, self.fault


class ImportRefusedError(InputError):
    """Nothing was imported, for the file or a row of it breaks a rule; ``report`` tells all of it."""

    def __init__(self, message: str, report: ImportReport) -> None:
        super().__init__(message)
        self.report = report


def why_unclear(one: Duplicate) -> str:
    """Tell why whom a row is about cannot be told; empty where it can."""
    if one.also:
        return f"{', '.join(one.also)} is somebody else's"
    return f"with another {', '.join(one.against)}: it may be somebody else" if one.against else ""


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read, and what is done about persons who are known.

    Parameters
    ----------
    mapping : mapping of str to str
        Fields, and what the file calls them: ``{"phone": "Mobile", "name": "First + Last",
        "birthday": "Born", "custom.size": "Size"}``. What is called as usual is found without.
    region : str
        Country of phone numbers without a country code, ``US``; empty: all must have one.
    on_duplicate : str
        ``report``: where there are any, nothing is imported; ``skip``: they are left out; ``update``:
        what they tell takes the place of what was known.
    on_unclear : str
        About rows of which cannot be told whom they are about: ``report``: where there are any, nothing is
        imported; ``skip``: they are left out, and listed by the report.
    sure : str
        A field that alone tells who somebody is: with ``member_no``, a known one with another telephone
        number is somebody who has a new number; empty: such rows are unclear.
    dry_run : bool
        Tell what would be done, and do nothing.
    encoding : str
        Of CSV.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    on_duplicate: str = "report"
    on_unclear: str = "report"
    sure: str = ""
    dry_run: bool = False
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Refuse what is unknown."""
        check_one_of("on_duplicate", self.on_duplicate, ON_DUPLICATE)
        check_one_of("on_unclear", self.on_unclear, ON_UNCLEAR)
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
    ImportRefusedError
        Rows break rules, unless it is a dry run: the first are named; or the file is none.
    InputError
        An option is none.
    AuthError
        The actor may not.
    """
    check_one_of("kind", kind, tuple(_KIND))
    check_instant("at_ms", at_ms)
    options = options or ImportOptions()
    people: People = _KIND[kind](context, scope_id, at_ms, options.region)
    if options.sure:
        check_one_of("sure", options.sure, people.apart or people.keys)
    report = ImportReport(path)
    try:
        _import(context, people, options, report, on_progress or (lambda _done, _total: None))
    except ImportRefusedError:
        raise
    except InputError as error:
        report.fault = str(error)
        raise ImportRefusedError(str(error), report) from error
    return report


def _import(
    context: Context,
    people: People,
    options: ImportOptions,
    report: ImportReport,
    on_progress: Callable[[int, int], None],
) -> None:
    file = _file(context, people, options, report)
    action, place = f"{people.kind}.import", {"scope_id": people.scope_id, "at_ms": people.at_ms}
    noted: dict[str, Any] = {"on_duplicate": options.on_duplicate, "fields": sorted(file.columns)}
    opened: AbstractContextManager[sa.Connection]
    if options.dry_run:
        # It tells who is known already, which leaves an entry; no writer waits for the reading after it.
        with context.acting(f"{action}_check", **place, details=noted):
            pass
        opened = context.database.reading()
    else:
        opened = context.acting(action, **place, details=noted)
    try:
        with opened as connection:
            _Import(connection, people, file, options, report).run(on_progress)
            noted |= {"rows": report.rows, "new": report.new, "updated": report.updated}
            if not options.dry_run:
                _undo_unless_fine(report, options)
                report.done = True
    except _LeftAloneError:
        return


def _file(context: Context, people: People, options: ImportOptions, report: ImportReport) -> ImportFile:
    """Find the fields in a file."""
    mapping = {_SPELLINGS.get(name, name): column for name, column in options.mapping.items()}
    file = ImportFile(report.path, people.usual, mapping, options.encoding)
    report.columns, report.guessed, report.ignored = file.columns, file.guessed, file.ignored
    it_has = f"be told by the mapping; it has {', '.join(file.names)}"
    if not set(people.keys) & set(file.columns):
        raise InputError(
            f"{report.path}: no column tells who somebody is: one of {', '.join(people.keys)} must be there, "
            f"or {it_has}"
        )
    for name in people.required:
        if name not in file.columns:
            raise InputError(f"{report.path}: no column tells {name}: it must be there, or {it_has}")
    rules = context.vertical.custom_fields if people.kind == "customer" else ()
    _check_custom(file, {rule.name for rule in rules})
    return file


def _check_custom(file: ImportFile, known: Collection[str]) -> None:
    """Refuse fields that the vertical does not have: their names would stand in the audit for good."""
    for name in file.columns:
        _, custom, field_name = name.partition("custom.")
        if custom and field_name not in known:
            raise InputError(
                f"mapping has the field {name!r}: the custom fields are {', '.join(sorted(known)) or 'none'}"
            )


class _LeftAloneError(Exception):
    """Undoes the transaction of an import that only reports."""


def _undo_unless_fine(report: ImportReport, options: ImportOptions) -> None:
    if report.bad:
        told = []
        for bad in report.bad[:_NAMED]:
            column = f", column {bad.column!r}" if bad.column else ""
            told.append(f"row {bad.row:,}{column}: {bad.rule}")
        more = len(report.bad) - len(told)
        if more:
            least = "at least " if report.told_until is not None else ""
            told.append(f"{least}{more:,} faults more, {least}{report.num_broken:,} rows in all")
        raise ImportRefusedError(f"{report.path}: {'; '.join(told)}; nothing was imported", report)
    if (report.num_duplicates and options.on_duplicate == "report") or (
        report.num_unclear and options.on_unclear == "report"
    ):
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
        keys = Keys(people.keys, people.apart, options.sure)
        self.seen = Seen(keys)
        if anybody is not None:
            self.seen = Seen(
                keys,
                lambda key, values: people.known(connection, key, values),
                lambda persons: people.told(connection, persons),
            )

    def run(self, on_progress: Callable[[int, int], None]) -> None:
        """Go through the file."""
        report, file = self.report, self.file
        for rows, texts in file.batches(on_progress):
            report.rows += len(rows)
            good, columns = self._checked(rows, texts)
            found = self.seen.look(good, columns)
            self._count(found)
            if len(report.bad) + len(file.bad) >= MOST_BAD:
                break
            if not self.options.dry_run and not self._is_given_up():
                self._write(found, columns)
        report.rows += len({one.row for one in file.bad})
        report.num_empty += file.num_empty
        # Those of one row stay as its columns stand.
        report.bad = sorted([*report.bad, *file.bad], key=lambda one: one.row)[:MOST_BAD]
        if len(report.bad) == MOST_BAD:
            report.told_until = report.bad[-1].row

    def _is_given_up(self) -> bool:
        """Tell whether nothing will be imported any more."""
        report, options = self.report, self.options
        return bool(
            report.bad
            or self.file.bad
            or (options.on_duplicate == "report" and report.num_duplicates)
            or (options.on_unclear == "report" and report.num_unclear)
        )

    def _checked(
        self, rows: list[int], texts: dict[str, list[Any]]
    ) -> tuple[list[int], dict[str, list[Any]]]:
        """Give the rows that break no rule, and their columns in one form."""
        nobody, faults = self._incomplete(rows, texts)
        columns = None if nobody or faults else self._read(texts)
        if columns is not None:
            return rows, columns
        for place, some in self._faults(rows, texts).items():
            faults.setdefault(place, []).extend(some)
        self.report.bad += [one for place in sorted(faults) for one in faults[place]]
        self.report.num_empty += len(nobody)
        good = [place for place in range(len(rows)) if place not in faults and place not in nobody]
        chosen = {name: [column[place] for place in good] for name, column in texts.items()}
        return [rows[place] for place in good], self.people.read(chosen)

    def _incomplete(
        self, rows: list[int], texts: dict[str, list[Any]]
    ) -> tuple[set[int], dict[int, list[BadRow]]]:
        """Give the places of rows that tell of nobody, and what is missing in others by their places."""
        people = self.people
        keys = [key for key in people.keys if key in texts]
        personal = zip(*(texts[name] for name in texts if name not in people.plain), strict=True)
        nobody = {place for place, told in enumerate(personal) if not any(told)}
        faults: dict[int, list[BadRow]] = {}
        for place, told in enumerate(zip(*(texts[key] for key in keys), strict=True)):
            if not any(told) and place not in nobody:
                rule = f"none of {', '.join(keys)} is told: it is nobody's"
                faults[place] = [BadRow(rows[place], "", rule)]
        for name in people.required:
            column = " + ".join(self.file.columns[name])
            for place, value in enumerate(texts[name]):
                if value is None and place not in nobody:
                    rule = f"{name} is missing: it must be told of a {people.kind}"
                    faults.setdefault(place, []).append(BadRow(rows[place], column, rule))
        return nobody, faults

    def _read(self, texts: dict[str, list[Any]]) -> dict[str, list[Any]] | None:
        """Give columns in one form, None where a row breaks a rule."""
        try:
            return self.people.read(texts)
        except InputError:
            return None

    def _faults(self, rows: list[int], texts: dict[str, list[Any]]) -> dict[int, list[BadRow]]:
        """Check texts one by one where some of them break a rule; gives all faults by the places of rows."""
        faults: dict[int, list[BadRow]] = {}
        for name, column in texts.items():
            called = " + ".join(self.file.columns[name])
            for first in range(0, len(rows), _TOGETHER):
                some = column[first : first + _TOGETHER]
                if self._read({name: some}) is not None:
                    continue
                for place, value in enumerate(some, first):
                    rule = None if value is None else self._rule_against(name, value)
                    if rule is not None:
                        faults.setdefault(place, []).append(BadRow(rows[place], called, rule))
        return faults

    def _rule_against(self, name: str, value: str) -> str | None:
        """Give the rule that a text breaks, None if it breaks none."""
        try:
            self.people.check(name, value)
        except InputError as error:
            return str(error)
        return None

    def _count(self, found: list[Duplicate | None]) -> None:
        report = self.report
        known = [one for one in found if one is not None]
        unclear = sum(one.is_unclear for one in known)
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
            if one is None or one.is_unclear:
                continue
            person = self.seen.person_at(place)
            if person == NOBODY:
                continue  # the row before it was unclear itself
            about.append(person)
            told = {name: values[place] for name, values in columns.items() if values[place] is not None}
            changes.setdefault(person, {}).update(told)
        changed = self.people.change(self.connection, changes) if changes else set()
        self.report.updated += sum(person in changed for person in about)
