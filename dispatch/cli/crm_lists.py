"""``dispatch crm place``, and lists of customers and drivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from dispatch.cli.console import out
from dispatch.cli.crm import (
    AsOption,
    DbOption,
    KeysOption,
    PlaceOption,
    VerticalOption,
    crm_app,
    opened,
    scope_of,
    told_at,
)
from dispatch.cli.crm_people import customer_app, driver_app
from dispatch.cli.figures import print_figures

if TYPE_CHECKING:
    from dispatch.crm.crm import Crm
    from dispatch.crm.paging import Page

place_app = typer.Typer(no_args_is_help=True, help="Enter a company's city, and list them.")
crm_app.add_typer(place_app, name="place")
LimitOption = Annotated[int, typer.Option(help="Rows at most.")]
StatusOption = Annotated[str | None, typer.Option(metavar="WORD", help="Only these: active, erased, …")]


@place_app.command("add", epilog="Example:  dispatch crm place add acme/oakland --db crm.db")
def add_place(
    place: Annotated[str, typer.Argument(metavar="TENANT/CITY")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Enter a company's city; prints its id, also where it is known already."""
    with opened(db, keys, vertical, who) as crm:
        made = scope_of(crm, place, enters=True)
    out.print(str(made), highlight=False)


@place_app.command("list", epilog="Example:  dispatch crm place list --db crm.db")
def list_places(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """List the cities that the actor reaches."""
    with opened(db, keys, vertical, who) as crm:
        found = crm.places()
    for scope_id, tenant, city in found:
        out.print(escape(f"{scope_id} {tenant}/{city}"), highlight=False, soft_wrap=True)
    if not found:
        out.print("none")


@customer_app.command(
    "list", epilog="Example:  dispatch crm customer list --place acme/oakland --tier gold --limit 50"
)
def list_customers(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    status: StatusOption = None,
    tier: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of a tier.")] = None,
    limit: LimitOption = 100,
) -> None:
    """List customers that the actor reaches, by their ids: nothing personal."""
    with opened(db, keys, vertical, who) as crm:
        scope_id = _perhaps(crm, place)
        rows, is_all = _rows(
            limit,
            lambda num, token: crm.customers.list(
                scope_id=scope_id, status=status, tier=tier, limit=num, token=token
            ),
        )
    _print("Customers", rows, is_all, limit)


@driver_app.command("list", epilog="Example:  dispatch crm driver list --place acme/oakland --status active")
def list_drivers(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    status: StatusOption = None,
    limit: LimitOption = 100,
) -> None:
    """List drivers that the actor reaches, by their ids: nothing personal."""
    with opened(db, keys, vertical, who) as crm:
        scope_id = _perhaps(crm, place)
        rows, is_all = _rows(
            limit,
            lambda num, token: crm.drivers.list(scope_id=scope_id, status=status, limit=num, token=token),
        )
    _print("Drivers", rows, is_all, limit)


def _perhaps(crm: Crm, place: str | None) -> int | None:
    return None if place is None else scope_of(crm, place)


def _rows(limit: int, page_of: Callable[[int, str | None], Page[Any]]) -> tuple[list[Any], bool]:
    """Read as many rows as are asked for, page by page; tell whether these are all."""
    from dispatch.crm.paging import LARGEST_PAGE

    rows: list[Any] = []
    token: str | None = None
    while True:
        page = page_of(min(limit - len(rows), LARGEST_PAGE), token)
        rows += page.rows
        token = page.next_token
        if token is None or len(rows) >= limit:
            return rows, token is None


def _print(title: str, rows: list[Any], is_all: bool, limit: int) -> None:
    if not rows:
        out.print("nobody")
        return
    names = list(vars(rows[0]))
    cells = [
        [told_at(value) if name.endswith("_at_ms") else _plain(value) for name, value in vars(row).items()]
        for row in rows
    ]
    print_figures(out, title, [name.removesuffix("_ms").replace("_", " ") for name in names], cells)
    if not is_all:
        out.print(f"the first {limit:,}; --limit shows more", style="dim")


def _plain(value: object) -> str:
    return "–" if value is None else str(value)
