"""``dispatch crm import``, ``export``, ``backup``, ``restore``, ``erase`` and ``audit-verify``."""

from __future__ import annotations

import sys
import time
import tomllib
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
    from dispatch.crm.exchange.importing import ImportReport


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
    vertical: VerticalOption = "ride",
    who: AsOption = None,
    place: PlaceOption = None,
    region: RegionOption = "",
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FIELD=COLUMN", help="What the file calls a field; may be given again."
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help='A TOML file with a table [columns]: phone = "Mobile".')
    ] = None,
    on_duplicate: Annotated[
        str,
        typer.Option(
            metavar="report|skip|update",
            help="About those who are known: import nothing and tell, leave them out, or change them.",
        ),
    ] = "report",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write duplicates and broken rows to this CSV file.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of CSV: gb18030, latin-1, …")] = "utf-8",
) -> None:
    """Import customers or drivers: all of a file, or, where one row is broken, nothing."""
    started = time.perf_counter()
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.importing import ImportOptions, import_people
        from dispatch.crm.rules import check_one_of

        check_one_of("kind", kind, ("customers", "drivers"))
        options = ImportOptions(_mapping(maps or [], mapping), region, on_duplicate, dry_run, encoding)
        scope_id = scope_of(crm, place)
        with undone_by_ctrl_c("nothing was imported"), bar(f"importing {file.name}") as advance:
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
    _print_import(done, options.on_duplicate, dry_run)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)
    if done.bad or (not done.done and not dry_run):
        raise typer.Exit(1)


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


def _print_import(done: ImportReport, on_duplicate: str, dry_run: bool) -> None:
    columns = Table("field", "column of the file")
    for field, names in done.columns.items():
        columns.add_row(field, escape(" + ".join(names)))
    if done.ignored:
        columns.add_row("[dim]none[/]", escape(", ".join(done.ignored)))
    out.print(columns)
    told = Table(show_header=False)
    told.add_column()
    told.add_column(justify="right")
    for name, value in (
        ("rows", done.rows),
        ("new", done.new),
        ("changes" if on_duplicate == "update" else "changed", done.updated),
        ("duplicates", done.num_duplicates),
        ("of these unclear", done.num_unclear),
        ("broken rows", len(done.bad)),
    ):
        told.add_row(name, f"{value:,}")
    out.print(told)
    for one in done.duplicates[:5]:
        of = f"row {one.of_row:,}" if one.of_row is not None else f"number {one.person_id} of the database"
        out.print(f"• row {one.row:,}: the same {one.by} as {of}", style="dim", highlight=False)
    for bad in done.bad[:5]:
        where = f", column {bad.column!r}" if bad.column else ""
        out.print(f"• row {bad.row:,}{escape(where)}: {escape(bad.rule)}", style="red", highlight=False)
    if dry_run:
        out.print("nothing was imported: this was a dry run", style="yellow")
    elif not done.done:
        out.print(
            "nothing was imported: there are duplicates; --on-duplicate skip leaves them out, update changes "
            "those who are known",
            style="yellow",
        )


@crm_app.command(
    epilog="Examples:  dispatch crm export orders orders.parquet --db crm.db  |  "
    "dispatch crm export customers customers.csv --personal --as manager:staff-3@acme"
)
def export(
    what: Annotated[
        str, typer.Argument(metavar="LIST", help="customers, drivers, orders, complaints, ratings, energy")
    ],
    file: Annotated[Path, typer.Argument(help=".csv or .parquet")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = "ride",
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
    vertical: VerticalOption = "ride",
    who: AsOption = None,
) -> None:
    """Write the whole database to one signed file; others go on working meanwhile.

    It goes into an empty database of either kind by `dispatch crm restore`. The keyring is not in it.
    """
    started = time.perf_counter()
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.backup import backup as write

        with undone_by_ctrl_c("no backup was made"), steps("reading") as advance:
            made = write(crm.context, file, at_ms=now_ms(), on_progress=advance)
    size = file.stat().st_size / 1e6
    out.print(f"{made.rows:,} rows of {len(made.members)} tables, {size:,.1f} MB", highlight=False)
    out.print(f"backup: {escape(str(file))}", highlight=False, soft_wrap=True)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


@crm_app.command(epilog="Example:  dispatch crm restore crm-2025-03-31.zip --db new.db --keys crm.db.keys")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    db: DbOption,
    keys: Annotated[
        Path, typer.Option(help="The keyring that the backup was made with, or a later one of it.")
    ],
) -> None:
    """Put a backup into an empty database, whole or not at all; who was erased since is erased again."""
    started = time.perf_counter()
    with needs_database():
        from dispatch.crm.exchange.backup import restore as read
    with undone_by_ctrl_c("nothing was restored"), steps("checking the backup") as advance:
        done = read(file, db, keys, at_ms=now_ms(), on_progress=advance)
    facts = done.manifest.facts
    out.print(f"{done.manifest.rows:,} rows, as of {told_at(facts['at_ms'])} UTC", highlight=False)
    out.print(f"audit: {done.audit_entries:,} entries, all right", highlight=False)
    out.print(f"erased again: {done.erased:,}", highlight=False)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


@crm_app.command(epilog="Example:  dispatch crm erase customer 17 --db crm.db")
def erase(
    kind: Annotated[str, typer.Argument(metavar="customer|driver")],
    person_id: Annotated[int, typer.Argument(metavar="ID")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = "ride",
    who: AsOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person for good: the key is destroyed, orders stay under the number alone.

    A legal hold defers it; the person is restricted until it is released.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("--yes is missing: nobody can be asked whether to erase")
        typer.confirm(f"Erase {kind} {person_id}? This cannot be undone", abort=True, err=True)
    with opened(db, keys, vertical, who) as crm, err.status("erasing"):
        done = crm.privacy.erase(kind, person_id, at_ms=now_ms())
    if not done.done:
        out.print(f"{kind} {person_id}: restricted; a legal hold defers the erasure", highlight=False)
        return
    out.print(f"erased: {kind} {', '.join(map(str, done.persons))}", highlight=False)
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
    vertical: VerticalOption = "ride",
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
        out.print(f"audit: {num:,} entries, all right", highlight=False)
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
