"""``dispatch crm customer`` and ``dispatch crm driver``: one person at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.console import out
from dispatch.cli.crm import (
    AsOption,
    DbOption,
    KeysOption,
    PlaceOption,
    RegionOption,
    VerticalOption,
    crm_app,
    instant_of,
    now_ms,
    opened,
    scope_of,
    told_at,
)
from dispatch.cli.figures import print_figures
from dispatch.errors import InputError

customer_app = typer.Typer(no_args_is_help=True, help="Look at, find, enter and change one customer.")
driver_app = typer.Typer(no_args_is_help=True, help="Look at, enter, license and block one driver.")
crm_app.add_typer(customer_app, name="customer")
crm_app.add_typer(driver_app, name="driver")

CustomerId = Annotated[int, typer.Argument(metavar="ID")]
DriverId = Annotated[int, typer.Argument(metavar="ID")]
Name = Annotated[str | None, typer.Option()]
Phone = Annotated[str | None, typer.Option(help="With its country code, or see --region.")]
Email = Annotated[str | None, typer.Option()]
Birthday = Annotated[str | None, typer.Option(metavar="MM-DD")]


@customer_app.command(
    epilog="Example:  dispatch crm customer show 17 --db crm.db --as agent:staff-7@acme/paris"
)
def show(
    customer_id: CustomerId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    limit: Annotated[int, typer.Option(help="Latest things that happened.")] = 10,
) -> None:
    """Tell all about a customer that the actor may see; the audit notes it."""
    with opened(db, keys, vertical, who) as crm:
        view = crm.customer_views.view(customer_id, at_ms=now_ms(), limit=limit)
    _print_person(vars(view.customer), view.customer.hidden)
    if view.merged_ids:
        out.print(f"merged into it: {', '.join(map(str, view.merged_ids))}", highlight=False)
    for alias in view.aliases:
        out.print(f"alias, {escape(alias.kind)}: {escape(alias.value or 'hidden')}", highlight=False)
    for address in view.addresses:
        out.print(f"address, {escape(address.label)}: {escape(address.text or 'hidden')}", highlight=False)
    out.print(
        f"standing: {view.standing} of 100, measured for the tier: {view.measure:,}, tiers so far: "
        f"{escape(', '.join(one.tier for one in view.tiers) or 'none')}",
        highlight=False,
    )
    told = ", ".join(f"{purpose}: {'yes' if yes else 'no'}" for purpose, yes in view.consents.items())
    out.print(f"consents: {escape(told or 'none')}", highlight=False)
    counted = {name: value for name, value in {**view.sums, **view.counts}.items() if value}
    if counted:
        cells = [(_SUMS.get(name, name.replace("_", " ")), _sum(name, counted[name])) for name in counted]
        print_figures(out, "All days", ("sum", ""), cells)
    for entry in view.timeline:
        out.print(f"• {told_at(entry.at_ms)} {escape(entry.what)}", style="dim", highlight=False)


@customer_app.command(
    epilog="Examples:  dispatch crm customer find --phone +14155550100 --place acme/oakland  |  "
    "dispatch crm customer find --member-no A-1001 --place acme/paris"
)
def find(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    phone: Phone = None,
    email: Email = None,
    member_no: Annotated[str | None, typer.Option()] = None,
    region: RegionOption = "",
) -> None:
    """Find a customer by phone number, address of mail or member number; prints the id."""
    told = {
        by: value
        for by, value in (("phone", phone), ("email", email), ("member_no", member_no))
        if value is not None
    }
    if len(told) != 1:
        raise InputError("one of --phone, --email and --member-no must be told")
    ((by, value),) = told.items()
    with opened(db, keys, vertical, who) as crm:
        found = crm.customers.find(by, value, scope_id=scope_of(crm, place), at_ms=now_ms(), region=region)
    if found is None:
        out.print("nobody")
        raise typer.Exit(1)
    out.print(str(found), highlight=False)


@customer_app.command(
    epilog="Example:  dispatch crm customer add --name 'Ann Lee' --phone +14155550100 --place acme/oakland"
)
def add(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    name: Name = None,
    phone: Phone = None,
    email: Email = None,
    birthday: Birthday = None,
    language: Annotated[str | None, typer.Option()] = None,
    channel: Annotated[str | None, typer.Option(help="By which the customer was won.")] = None,
    member_no: Annotated[str | None, typer.Option()] = None,
    region: RegionOption = "",
) -> None:
    """Enter a customer; prints the id."""
    told: dict[str, Any] = {
        "name": name,
        "phone": phone,
        "email": email,
        "language": language,
        "channel": channel,
        "member_no": member_no,
    }
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.import_people import mmdd
        from dispatch.crm.people.customer_details import CustomerDetails

        details = CustomerDetails(**told, birthday_mmdd=mmdd(birthday))
        if not details.told:
            raise InputError("nothing was told of the customer: --name, --phone, --member-no, …")
        made = crm.customers.register(details, scope_id=scope_of(crm, place), at_ms=now_ms(), region=region)
    out.print(str(made), highlight=False)


@customer_app.command(
    epilog="Examples:  dispatch crm customer update 17 --email ann@mail.example  |  "
    "dispatch crm customer update 17 --forget phone"
)
def update(
    customer_id: CustomerId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    name: Name = None,
    phone: Phone = None,
    email: Email = None,
    birthday: Birthday = None,
    language: Annotated[str | None, typer.Option()] = None,
    channel: Annotated[str | None, typer.Option()] = None,
    member_no: Annotated[str | None, typer.Option()] = None,
    forget: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Not known any more; may be given again.")
    ] = None,
    region: RegionOption = "",
) -> None:
    """Change what is known of a customer; what is not told stays."""
    told: dict[str, Any] = {
        "name": name,
        "phone": phone,
        "email": email,
        "language": language,
        "channel": channel,
        "member_no": member_no,
    }
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.import_people import mmdd
        from dispatch.crm.people.customer_details import CustomerDetails

        details = CustomerDetails(**told, birthday_mmdd=mmdd(birthday))
        if not details.told and not forget:
            raise InputError("nothing to change was told: --name, --phone, …, or --forget")
        version = crm.customers.update(
            customer_id, details, at_ms=now_ms(), forget=forget or [], region=region
        )
    out.print(f"customer {customer_id}: version {version}", highlight=False)


@customer_app.command(epilog="Example:  dispatch crm customer merge 18 17 --db crm.db")
def merge(
    from_id: Annotated[int, typer.Argument(metavar="FROM")],
    into_id: Annotated[int, typer.Argument(metavar="INTO")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Merge a customer who was entered twice into the other; orders, points and coupons go with it."""
    with opened(db, keys, vertical, who) as crm:
        crm.contacts.merge(from_id, into_id, at_ms=now_ms())
    out.print(f"customer {from_id} is customer {into_id} now", highlight=False)


@customer_app.command("export", epilog="Example:  dispatch crm customer export 17 ann.zip --db crm.db")
def export_person(
    customer_id: CustomerId,
    file: Annotated[Path, typer.Argument(help="A new file: .json or .zip.")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Write all data of one customer, of every table, opened: what the customer may ask for."""
    with opened(db, keys, vertical, who) as crm:
        told = crm.privacy.export_person("customer", customer_id, at_ms=now_ms(), path=file)
    rows = sum(len(one) for one in told["tables"].values())
    out.print(f"{rows:,} rows: {escape(str(file))}", highlight=False, soft_wrap=True)


@customer_app.command(
    epilog="Examples:  dispatch crm customer consent 17  |  "
    "dispatch crm customer consent 17 marketing --no --source phone"
)
def consent(
    customer_id: CustomerId,
    db: DbOption,
    purpose: Annotated[str | None, typer.Argument(help="marketing, profiling, location, survey, …")] = None,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    granted: Annotated[bool | None, typer.Option("--yes/--no", help="Whether the customer agrees.")] = None,
    source: Annotated[str, typer.Option(help="How it was told.")] = "staff",
    terms: Annotated[str | None, typer.Option(help="Version of the text that was agreed to.")] = None,
) -> None:
    """Record what a customer agrees to; without a purpose, tell what counts now."""
    with opened(db, keys, vertical, who) as crm:
        if purpose is not None:
            if granted is None:
                raise InputError("--yes or --no is missing: tell whether the customer agrees")
            crm.consents.record(
                customer_id, purpose, granted, at_ms=now_ms(), source=source, terms_version=terms
            )
        now = crm.consents.of(customer_id)
    for name, yes in sorted(now.items()):
        out.print(f"{escape(name)}: {'yes' if yes else 'no'}", highlight=False)
    if not now:
        out.print("agrees to nothing")


@driver_app.command("show", epilog="Example:  dispatch crm driver show 7 --db crm.db")
def show_driver(
    driver_id: DriverId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Tell what the actor may see of a driver; the audit notes it."""
    with opened(db, keys, vertical, who) as crm:
        at_ms = now_ms()
        known = crm.drivers.get(driver_id, at_ms=at_ms)
        licences = crm.qualifications.licences(driver_id, at_ms=at_ms)
        blocks = crm.blocks.of(driver_id)
    _print_person(vars(known), ())
    for one in licences:
        out.print(
            f"licence {one.licence_id}, {escape(one.kind)}: until {told_at(one.valid_until_ms)}",
            highlight=False,
        )
    for block in blocks:
        lifted = "" if block.lifted_at_ms is None else f", lifted {told_at(block.lifted_at_ms)}"
        out.print(
            f"block {block.block_id}, {escape(block.reason)}: {told_at(block.from_ms)} to "
            f"{told_at(block.until_ms)}{lifted}",
            highlight=False,
        )


@driver_app.command(
    "add",
    epilog="Example:  dispatch crm driver add --name 'Bo Lin' --phone +14155550101 --place acme/oakland",
)
def add_driver(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    place: PlaceOption = None,
    name: Name = None,
    phone: Phone = None,
    address: Annotated[str | None, typer.Option()] = None,
    birthday: Birthday = None,
) -> None:
    """Enter a driver; prints the id."""
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.import_people import mmdd
        from dispatch.crm.fleet.drivers import DriverDetails

        details = DriverDetails(name, phone, address, mmdd(birthday))
        made = crm.drivers.register(details, scope_id=scope_of(crm, place), at_ms=now_ms())
    out.print(str(made), highlight=False)


@driver_app.command(
    epilog="Example:  dispatch crm driver licence 7 driving --from 2024-05-01 --until 2029-05-01"
)
def licence(
    driver_id: DriverId,
    kind: Annotated[str, typer.Argument(help="One of the vertical's.")],
    db: DbOption,
    since: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD")],
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD")],
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    number: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Enter a licence; prints its id."""
    with opened(db, keys, vertical, who) as crm:
        made = crm.qualifications.add_licence(
            driver_id,
            kind,
            valid_from_ms=instant_of("--from", since),
            valid_until_ms=instant_of("--until", until),
            at_ms=now_ms(),
            number=number,
        )
    out.print(str(made), highlight=False)


@driver_app.command(epilog="Example:  dispatch crm driver block 7 complaint --until 2025-04-07T12:00")
def block(
    driver_id: DriverId,
    reason: Annotated[str, typer.Argument(help="A short name, nothing personal.")],
    db: DbOption,
    until: Annotated[
        str, typer.Option("--until", metavar="YYYY-MM-DD[THH:MM]", help="UTC, unless an offset is told.")
    ],
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Give a driver no orders until an instant; prints the id of the block, which an appeal can reverse."""
    with opened(db, keys, vertical, who) as crm:
        made = crm.blocks.block(driver_id, reason, at_ms=now_ms(), until_ms=instant_of("--until", until))
    out.print(str(made), highlight=False)


@driver_app.command(epilog="Example:  dispatch crm driver lift 3 --db crm.db")
def lift(
    block_id: Annotated[int, typer.Argument(metavar="BLOCK", help="Its id, which driver show tells.")],
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """End a block now: the driver may get orders again."""
    with opened(db, keys, vertical, who) as crm:
        crm.blocks.lift(block_id, at_ms=now_ms())
    out.print(f"block {block_id}: lifted", highlight=False)


@driver_app.command(
    "update",
    epilog="Example:  dispatch crm driver update 7 --phone +14155550102 --db crm.db",
)
def update_driver(
    driver_id: DriverId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    name: Name = None,
    phone: Phone = None,
    address: Annotated[str | None, typer.Option()] = None,
    birthday: Birthday = None,
) -> None:
    """Change what is known of a driver; what is not told stays."""
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.exchange.import_people import mmdd
        from dispatch.crm.fleet.drivers import DriverDetails

        details = DriverDetails(name, phone, address, mmdd(birthday))
        if not details.told:
            raise InputError("nothing to change was told: --name, --phone, --address, --birthday")
        crm.drivers.update(driver_id, details, at_ms=now_ms())
    out.print(f"driver {driver_id}: changed", highlight=False)


@driver_app.command(epilog="Example:  dispatch crm driver leave 7 --db crm.db")
def leave(
    driver_id: DriverId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    comes_back: Annotated[bool, typer.Option("--back", help="The driver who left is taken back.")] = False,
) -> None:
    """Let a driver leave: no orders from now on; what is known is kept until it is erased."""
    with opened(db, keys, vertical, who) as crm:
        if comes_back:
            crm.drivers.rejoin(driver_id, at_ms=now_ms())
        else:
            crm.drivers.leave(driver_id, at_ms=now_ms())
    out.print(f"driver {driver_id}: {'is back' if comes_back else 'has left'}", highlight=False)


@driver_app.command(epilog="Example:  dispatch crm driver score 7 --db crm.db")
def score(
    driver_id: DriverId,
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
) -> None:
    """Explain a driver's score: what each part cost."""
    with opened(db, keys, vertical, who) as crm:
        told = crm.scores.explain(driver_id, at_ms=now_ms())
    if not told.judged:
        out.print(f"not judged yet: {told.trips} of {told.min_trips} trips", style="yellow")
    shown = Table("part")
    for head in ("value", "weight", "lost"):
        shown.add_column(head, justify="right")
    for part in told.parts:
        value = "–" if part.value is None else f"{part.value:.3f}"
        shown.add_row(escape(part.name), value, f"{part.weight:g}", f"{part.lost:.3f}")
    shown.add_row("[bold]score[/]", f"[bold]{told.score:.3f}[/]", "", f"{1 - told.score:.3f}")
    out.print(shown)


_SUMS: Final = {
    "submitted": "orders submitted",
    "completed": "of these completed",
    "cancelled": "cancelled",
    "expired": "expired",
    "late": "picked up late",
    "spend_cents": "spent",
    "trip_m": "driven, km",
    "orders": "orders known",
    "points_entry": "entries of points",
    "credit_event": "changes of standing",
}


def _sum(name: str, value: int) -> str:
    if name.endswith("_cents"):
        return f"{value / 100:,.2f}"
    return f"{value / 1000:,.1f}" if name.endswith("_m") else f"{value:,}"


def _print_person(values: Mapping[str, Any], hidden: tuple[str, ...]) -> None:
    shown = Table(show_header=False)
    shown.add_column()
    shown.add_column()
    for name, value in values.items():
        if name == "hidden" or (value in (None, {}) and name not in hidden):
            continue
        told = told_at(value) if name.endswith("_at_ms") else str(value)
        shown.add_row(name.removesuffix("_ms"), "[dim]hidden[/]" if value is None else escape(told))
    out.print(shown)
