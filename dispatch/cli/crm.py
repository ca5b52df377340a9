"""``dispatch crm``: what its commands share, and ``dispatch crm init``."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, err, out
from dispatch.errors import DispatchError, InputError

if TYPE_CHECKING:
    from dispatch.crm.crm import Crm
    from dispatch.crm.permissions import Actor

crm_app = typer.Typer(
    no_args_is_help=True, help="Customers, drivers, orders, memberships and complaints, in a database."
)
app.add_typer(crm_app, name="crm")

DbOption = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="DISPATCH_CRM",
        metavar="FILE|URL",
        help="A file of SQLite, or postgresql://user@host/name.",
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option(
        help="The keyring; its register of erasures lies beside it. Default: the file of SQLite with .keys "
        "at its end."
    ),
]
VerticalOption = Annotated[
    str | None,
    typer.Option(
        envvar="DISPATCH_VERTICAL",
        metavar="NAME|FILE",
        help="ride, delivery, fuel, or a file of rules. A database keeps those that it was made with: later "
        "it is refused unless it is of these. Default: whatever it keeps, and ride for a new one.",
    ),
]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="ROLE:NAME@TENANT/CITY",
        help="Who acts; several cities with commas. Default: the program itself, which may do all.",
    ),
]
PlaceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TENANT/CITY", envvar="DISPATCH_PLACE", help="Where. Default: that of --as, if it is one."
    ),
]
RegionOption = Annotated[
    str, typer.Option(metavar="CC", help="Country of phone numbers without a country code, such as US.")
]
_ACTOR: Final = re.compile(r"(?P<role>\w+):(?P<name>[^@]+)(?:@(?P<tenant>[^/]*)(?:/(?P<cities>.*))?)?")
_MISSING: Final = 'this needs a database: pip install "dispatch-engine[crm]"'


@contextmanager
def opened(db: str, keys: Path | None, vertical: str | None, who: str | None) -> Iterator[Crm]:
    """Open the CRM that the options tell, for who acts."""
    with needs_database():
        from dispatch.crm.crm import Crm
    with Crm.open(db, vertical, keys, actor_of(who)) as crm:
        if crm.erased_again:
            err.print(
                f"[yellow]erased again: {crm.erased_again:,}, who had come back, as with an older file that "
                "is put back[/]",
                soft_wrap=True,
            )
        yield crm


@contextmanager
def needs_database() -> Iterator[None]:
    """Say what to install where the libraries of databases are not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise DispatchError(f"{_MISSING} ({error.name} is not installed)") from error


_EXTRA: Final = ("sqlalchemy", "alembic", "psycopg", "cryptography", "phonenumbers")


@contextmanager
def undone_by_ctrl_c(what: str) -> Iterator[None]:
    """After Ctrl-C, say what was not done."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(f"[yellow]interrupted: {escape(what)}[/]", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def actor_of(who: str | None) -> Actor | None:
    """Read ``agent:staff-17@acme/san_francisco``; None for None."""
    from dispatch.crm.permissions import Actor

    if who is None:
        return None
    found = _ACTOR.fullmatch(who)
    if found is None:
        raise InputError(f"--as is {who!r}: it must be ROLE:NAME@TENANT/CITY")
    cities = frozenset(city.strip() for city in (found["cities"] or "").split(",") if city.strip())
    return Actor(found["role"], found["name"], found["tenant"] or "", cities)


def scope_of(crm: Crm, place: str | None, *, enters: bool = False) -> int:
    """Give the id of the place that is told, else of that which the actor works for.

    It must be there, unless it is to be entered: a slip of the pen makes no new place.
    """
    actor = crm.context.actor
    if place is None:
        if len(actor.cities) != 1:
            raise InputError("--place is missing: tell where, as TENANT/CITY")
        (city,) = actor.cities
        return crm.scope(actor.tenant, city, is_known=not enters)
    tenant, slash, city = place.partition("/")
    if not slash or not tenant or not city:
        raise InputError(f"--place is {place!r}: it must be TENANT/CITY")
    try:
        return crm.scope(tenant, city, is_known=not enters)
    except InputError as error:
        if enters:
            raise
        raise InputError(f"{error}; dispatch crm place add enters a new one") from error


def now_ms() -> int:
    """Give the present instant."""
    return time.time_ns() // 1_000_000


def told_at(at_ms: int | None) -> str:
    """Write an instant in UTC, to the second; a dash for none."""
    if at_ms is None:
        return "–"
    return f"{datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC):%Y-%m-%d %H:%M:%S}"


def instant_of(option: str, text: str) -> int:
    """Read a day, or a day and a time, in UTC unless an offset is told."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}: it must be like 2025-03-31 or 2025-03-31T12:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)


@crm_app.command(
    epilog="Examples:  dispatch crm init --db crm.db  |  "
    "dispatch crm init --db postgresql://crm@db.example/crm --keys /secure/crm.keys  |  "
    "dispatch crm init --db crm.db --upgrade"
)
def init(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    place: PlaceOption = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring the tables of an older version up to this one's.")
    ] = False,
) -> None:
    """Make the tables in an empty database, and a keyring and its register of erasures; or bring old ones up.

    Keep copies of both files elsewhere, that of the register made anew with each backup and after each
    erasure: without the keyring nothing personal can be read, without the register an older backup brings
    back who was erased.
    --upgrade begins a register where it is lost, and tells an older database its rules, once, by --vertical.
    """
    with needs_database():
        from dispatch.crm.crm import Crm
        from dispatch.crm.people.register import register_path
        from dispatch.crm.schema import name_of
    if upgrade:
        _upgrade(db, keys, vertical)
        return
    with Crm.create(db, vertical or "ride", keys) as crm:
        if place is not None:
            scope_of(crm, place, enters=True)
        path = crm.context.vault.path
        out.print(f"database: {escape(name_of(crm.context.database))}", highlight=False, soft_wrap=True)
        out.print(f"keyring: {escape(str(path))}", highlight=False, soft_wrap=True)
        if path is not None:
            register = escape(str(register_path(path)))
            out.print(f"register of erasures: {register}", highlight=False, soft_wrap=True)
        out.print(
            "keep copies of both elsewhere; that of the register is made anew with each backup and erasure",
            soft_wrap=True,
        )


def _upgrade(db: str, keys: Path | None, vertical: str | None) -> None:
    """Bring the tables up to date; where the database keeps no rules yet, those told are kept."""
    from dispatch.crm.crm import Crm, keys_path
    from dispatch.crm.people.erasing import begin_register
    from dispatch.crm.people.register import register_path
    from dispatch.crm.rulebook import is_kept
    from dispatch.crm.schema import upgrade
    from dispatch.crm.vertical import Vertical
    from dispatch.store.database import Database

    if vertical is not None:
        Vertical.load(vertical)  # what is none is told before anything is changed
    with Database(db) as database, err.status("changing the tables"):
        before, after = upgrade(database)
        with database.reading() as connection:
            knows_rules = is_kept(connection)
        register = register_path(keys_path(db, keys))
        has_begun = begin_register(database, register, now_ms())
    if has_begun:
        out.print(
            f"register of erasures: begun, {escape(str(register))}; who was erased before and is in the "
            "database all the same must be erased again",
            style="yellow",
            soft_wrap=True,
        )
    out.print(f"tables: revision {before} → {after}" if before != after else f"tables: {after} already")
    if vertical is not None:
        with Crm.open(db, vertical, keys, changes_rules=not knows_rules) as crm:
            _tell_rules(crm)
    elif not knows_rules:
        out.print(
            "of which business it is must be told once: dispatch crm init --upgrade --vertical ride",
            style="yellow",
            soft_wrap=True,
        )


@crm_app.command(
    epilog="Examples:  dispatch crm rules my_rules.toml --db crm.db  |  dispatch crm rules ride --db crm.db"
)
def rules(
    vertical: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="ride, delivery, fuel, or a file of rules.")
    ],
    db: DbOption,
    keys: KeysOption = None,
    who: AsOption = None,
) -> None:
    """Change the rules that a database keeps; the audit tells which parts.

    What customers, complaints, drivers and purchases there speak of must stay: tiers, problems, stages,
    products, valid passes and courses. Programs that have the database open go on by the rules of before
    until they open it anew.
    """
    with needs_database():
        from dispatch.crm.crm import Crm
    with Crm.open(db, vertical, keys, actor_of(who), changes_rules=True) as crm:
        _tell_rules(crm)


def _tell_rules(crm: Crm) -> None:
    changed = f"changed: {', '.join(crm.changed_rules)}" if crm.changed_rules else "as before"
    out.print(f"rules: {escape(crm.context.vertical.name)}, {changed}", highlight=False, soft_wrap=True)
