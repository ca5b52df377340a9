"""``dispatch crm import``, ``export``, ``backup``, ``restore``, ``erase`` and ``audit-verify``."""

from __future__ import annotations

import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.console import bar, err, out, steps
from dispatch.cli.crm import (
    AsOption,
    DbOption,
    KeysOption,
    PlaceOption,
    RegionOption,
    VerticalOption,
    crm_app,
    needs_database,
    now_ms,
    opened,
    scope_of,
    told_at,
    undone_by_ctrl_c,
)
from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.crm.exchange.importing import ImportOptions, ImportReport

MapsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="What the file calls a field; may be given again. Fields: name, phone, email, member_no, "
        "channel, language, birthday, custom.FIELD; of drivers: name, phone, address, birthday.",
    ),
]
OnDuplicateOption = Annotated[
    str,
    typer.Option(
        metavar="report|skip|update",
        help="About those who are known: import nothing and tell, leave them out, or change them.",
    ),
]
OnUnclearOption = Annotated[
    str,
    typer.Option(
        metavar="report|skip",
        help="About rows that may be somebody else's, such as a known address of mail with another "
        "telephone number: import nothing and tell, or leave them out.",
    ),
]
SureOption = Annotated[
    str,
    typer.Option(
        metavar="member_no|phone",
        help="A field that alone tells who a customer is: others may have changed.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        help="Write mapping, duplicates and all faults (10,000 at most) to this CSV file, whatever happens."
    ),
]


@crm_app.command(
    "import",
    epilog="Examples:  dispatch crm import customers customers.csv --place acme/paris --region FR "
    "--dry-run  |  dispatch crm import customers old.parquet --map phone=Mobile --map 'name=First + Last' "
    "--on-duplicate update",
)
def import_(
    kind: Annotated[str, typer.Argument(metavar="customers|drivers")],
    file: Annotated[Path, typer.Argument(help="CSV with a header, or .parquet.")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    region: RegionOption = "",
    maps: MapsOption = None,
    mapping: Annotated[
        Path | None, typer.Option(help='A TOML file with a table [columns]: phone = "Mobile".')
    ] = None,
    on_duplicate: OnDuplicateOption = "report",
    on_unclear: OnUnclearOption = "report",
    sure: SureOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")
    ] = False,
    report: ReportOption = None,
    encoding: Annotated[str, typer.Option(help="Of CSV: gb18030, latin-1, …")] = "utf-8",
) -> None:
    """Import customers or drivers: all of a file, or, where one row is broken, nothing."""
    started = time.perf_counter()
    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(f"--report is {report}: its folder does not exist")
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.importing import ImportOptions, import_people
        from dispatch.crm.rules import check_one_of

        check_one_of("kind", kind, ("customers", "drivers"))
        told = _mapping(maps or [], mapping)
        options = ImportOptions(told, region, on_duplicate, on_unclear, sure, dry_run, encoding)
        scope_id = scope_of(crm, place)
        with (
            _reported(report),
            undone_by_ctrl_c("nothing was imported"),
            bar(f"importing {file.name}") as advance,
        ):
            done = import_people(
                crm.context,
                kind.removesuffix("s"),
                file,
                scope_id=scope_id,
                at_ms=now_ms(),
                options=options,
                on_progress=advance,
            )
    if report is not None:
        done.write(report)
    _print_import(done, options)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)
    if done.bad or (not done.done and not dry_run):
        raise typer.Exit(1)


@contextmanager
def _reported(path: Path | None) -> Iterator[None]:
    """Write the report of an import that is refused, too."""
    from dispatch.crm.exchange.importing import ImportRefusedError

    try:
        yield
    except ImportRefusedError as error:
        if path is not None:
            error.report.write(path)
        raise


def _mapping(maps: list[str], file: Path | None) -> dict[str, str]:
    """Read which field is which column; options come before the file."""
    told: dict[str, Any] = {}
    if file is not None:
        try:
            told = tomllib.loads(file.read_text(encoding="utf-8"))["columns"]
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
            raise InputError(f"--mapping is {file}: no TOML with a table [columns] ({error})") from error
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            raise InputError(f"--mapping is {file}: each entry of [columns] must be a column's name")
    for one in maps:
        field, equals, column = one.partition("=")
        if not equals or not field or not column:
            raise InputError(f"--map is {one!r}: it must be FIELD=COLUMN")
        told[field.strip()] = column.strip()
    return told


def _print_import(done: ImportReport, options: ImportOptions) -> None:
    columns = Table("field", "column of the file", "")
    for field, names in done.columns.items():
        how = "guessed" if field in done.guessed else "told"
        columns.add_row(field, escape(" + ".join(names)), f"[dim]{how}[/]")
    if done.ignored:
        columns.add_row("[dim]none[/]", escape(", ".join(done.ignored)), "[dim]ignored[/]")
    out.print(columns)
    told = Table(show_header=False)
    told.add_column()
    told.add_column(justify="right")
    for name, value in (
        ("rows", done.rows),
        ("of nobody, passed over", done.num_empty),
        ("new", done.new),
        ("changes" if options.on_duplicate == "update" else "changed", done.updated),
        ("duplicates", done.num_duplicates),
        ("of these unclear", done.num_unclear),
        ("broken rows", done.num_broken),
        ("their faults", len(done.bad)),
    ):
        told.add_row(name, f"{value:,}")
    out.print(told)
    _print_rows(done)
    if options.dry_run:
        out.print("nothing was imported: this was a dry run", style="yellow")
    elif not done.done and done.num_unclear and options.on_unclear == "report":
        out.print(
            "nothing was imported: there are rows of which cannot be told whom they are about; --report "
            "lists them, --on-unclear skip leaves them out",
            style="yellow",
        )
    elif done.done and done.num_unclear:
        out.print(f"left out: {done.num_unclear:,} unclear rows; --report lists them", style="yellow")
    elif not done.done:
        out.print(
            "nothing was imported: there are duplicates; --on-duplicate skip leaves them out, update changes "
            "those who are known",
            style="yellow",
        )


def _print_rows(done: ImportReport) -> None:
    """Print the first rows that there is something about, unclear ones first."""
    from dispatch.crm.exchange.importing import why_unclear

    for one in sorted(done.duplicates, key=lambda one: not one.is_unclear)[:5]:
        of = f"row {one.of_row:,}" if one.of_row is not None else f"number {one.person_id} of the database"
        why = f", but {why_unclear(one)}" if one.is_unclear else ""
        out.print(f"• row {one.row:,}: the same {one.by} as {of}{why}", style="dim", highlight=False)
    for bad in done.bad[:5]:
        where = f", column {bad.column!r}" if bad.column else ""
        out.print(f"• row {bad.row:,}{escape(where)}: {escape(bad.rule)}", style="red", highlight=False)
    if done.told_until is not None:
        out.print(f"faults after row {done.told_until:,} are not told", style="red", highlight=False)


@crm_app.command(
    epilog="Examples:  dispatch crm export orders orders.parquet --db crm.db  |  "
    "dispatch crm export customers customers.csv --personal --as manager:staff-3@acme"
)
def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="LIST",
            help="customers, drivers, orders, complaints, ratings, energy, points, memberships, coupons, "
            "redemptions",
        ),
    ],
    file: Annotated[Path, typer.Argument(help=".csv or .parquet")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    personal: Annotated[
        bool,
        typer.Option("--personal", help="With names, numbers and places, as far as the role may see them."),
    ] = False,
) -> None:
    """Write a list to a file: what the actor reaches, of persons what the actor may see."""
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.exporting import export_list

        with undone_by_ctrl_c("nothing was written"), bar(f"writing {file.name}") as advance:
            num = export_list(crm.context, what, file, at_ms=now_ms(), personal=personal, on_progress=advance)
    out.print(f"{num:,} rows: {escape(str(file))}", highlight=False, soft_wrap=True)


@crm_app.command(epilog="Example:  dispatch crm backup crm-2025-03-31.zip --db crm.db")
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Write the whole database to one signed file; others go on working meanwhile.

    It goes into an empty database of either kind by `dispatch crm restore`. The keyring (.keys) and its
    register of erasures (.keys.erased) are not in it: keep copies of both, together, and copy the register
    anew with each backup and after each erasure.
    """
    started = time.perf_counter()
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.backup import backup as write

        with undone_by_ctrl_c("no backup was made"), steps("reading") as advance:
            made = write(crm.context, file, at_ms=now_ms(), on_progress=advance)
        register = f"{crm.context.vault.path}.erased"
    size = file.stat().st_size / 1e6
    out.print(f"{made.rows:,} rows of {len(made.members)} tables, {size:,.1f} MB", highlight=False)
    out.print(f"backup: {escape(str(file))}", highlight=False, soft_wrap=True)
    out.print(f"to be copied with it: {escape(register)}", highlight=False, soft_wrap=True)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


@crm_app.command(epilog="Example:  dispatch crm restore crm-2025-03-31.zip --db new.db --keys crm.db.keys")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    db: DbOption,
    keys: Annotated[
        Path,
        typer.Option(
            help="The keyring that the backup was made with, or a later one of it; its register of erasures "
            "belongs beside it, with .erased at its end."
        ),
    ],
    erasures: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Another register of erasures, or a later backup (.zip), which tells of them too; may be "
            "given again.",
        ),
    ] = None,
    without_register: Annotated[
        bool,
        typer.Option(
            "--without-register",
            help="Go on where the register is missing, or is older than the backup: who was erased since may "
            "come back.",
        ),
    ] = False,
) -> None:
    """Put a backup into an empty database, whole or not at all; who was erased since is erased again.

    Who that is, the register of erasures tells: use the latest copy of it.
    """
    started = time.perf_counter()
    with needs_database():
        from dispatch.crm.exchange.backup import restore as read
    with undone_by_ctrl_c("nothing was restored"), steps("checking the backup") as advance:
        done = read(
            file,
            db,
            keys,
            at_ms=now_ms(),
            erasures=erasures or (),
            without_register=without_register,
            on_progress=advance,
        )
    facts = done.manifest.facts
    out.print(f"{done.manifest.rows:,} rows, as of {told_at(facts['at_ms'])} UTC", highlight=False)
    out.print(f"audit: {done.audit_entries:,} entries, all right", highlight=False)
    out.print(f"erased again: {done.erased:,}", highlight=False)
    if done.unsure:
        out.print(
            f"{done.unsure}: who was erased since may be back, and must be erased again",
            style="yellow",
            soft_wrap=True,
        )
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


@crm_app.command(epilog="Example:  dispatch crm erase customer 17 --db crm.db")
def erase(
    kind: Annotated[str, typer.Argument(metavar="customer|driver")],
    person_id: Annotated[int, typer.Argument(metavar="ID")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person for good: the key is destroyed, orders stay under the number alone.

    A legal hold defers it; the person is restricted until it is released. Copy the register of erasures
    (.keys.erased) anew to where the copy of the keyring is: by it an older backup is brought up to this.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("--yes is missing: nobody can be asked whether to erase")
        typer.confirm(f"Erase {kind} {person_id}? This cannot be undone", abort=True, err=True)
    with opened(db, keys, vertical, who) as crm, err.status("erasing"):
        done = crm.privacy.erase(kind, person_id, at_ms=now_ms())
        register = f"{crm.context.vault.path}.erased"
    if not done.done:
        out.print(f"{kind} {person_id}: restricted; a legal hold defers the erasure", highlight=False)
        return
    out.print(f"erased: {kind} {', '.join(map(str, done.persons))}", highlight=False)
    out.print(f"noted in {escape(register)}: copy it anew", highlight=False, soft_wrap=True)
    if not done.scrubbed:
        out.print("others were reading: older pages leave the files once they have finished", style="yellow")


@crm_app.command(
    "audit-verify",
    epilog="Examples:  dispatch crm audit-verify --db crm.db --write-head /elsewhere/head.json  |  "
    "dispatch crm audit-verify --db crm.db --head /elsewhere/head.json",
)
def audit_verify(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    head: Annotated[
        Path | None, typer.Option(help="A head that was signed earlier and kept elsewhere.")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(metavar="HEX", help="That must have signed it. Default: the keyring's.")
    ] = None,
    write_head: Annotated[
        Path | None, typer.Option(help="Sign how far the audit goes now, and write it here.")
    ] = None,
) -> None:
    """Check every entry of the audit: none was changed, removed, added or cut off."""
    with opened(db, keys, vertical, who) as crm:
        from dispatch.store.chain import Head

        with err.status("checking the audit"):
            num = crm.audit_log.verify(None if head is None else Head.load(head), _key(public_key))
            refused = crm.audit_log.num_refused()
        out.print(f"audit: {num:,} entries, all right; {refused:,} of refused attempts", highlight=False)
        if head is None:
            out.print(
                "without an earlier --head, a log written anew as a whole would not be noticed", style="dim"
            )
        if write_head is not None:
            made = crm.audit_log.head(at_ms=now_ms(), path=write_head)
            out.print(f"head: {escape(str(write_head))}", highlight=False, soft_wrap=True)
            out.print(f"public key: {made.public_key.hex()}", highlight=False, soft_wrap=True)


def _key(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise InputError(f"--public-key is {text!r}: it must be hexadecimal") from None
