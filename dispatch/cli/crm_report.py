"""``dispatch crm report``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dispatch.cli.console import err, out
from dispatch.cli.crm import AsOption, DbOption, KeysOption, VerticalOption, crm_app, now_ms, opened
from dispatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_LAST_DAYS: Final = 30


@crm_app.command(
    epilog="Examples:  dispatch crm report --db crm.db --by week --timezone Europe/Paris  |  "
    "dispatch crm report --from 2025-03-01 --to 2025-03-31 --html march.html --export march.csv"
)
def report(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = "ride",
    who: AsOption = None,
    by: Annotated[str, typer.Option(metavar="day|week|month")] = "day",
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="YYYY-MM-DD", help="First day. Default: 29 days before the last."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day. Default: today.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Clock that days and hours are of: Europe/Paris.")] = "UTC",
    places: Annotated[
        list[str] | None,
        typer.Option("--place", metavar="TENANT/CITY", help="Count these cities only; may be given again."),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="NAMES", help="Tables to print, with commas.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page with charts.")] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", metavar="FILE", help="Write all tables: march.csv, march.parquet; may be given again."
        ),
    ] = None,
) -> None:
    """Count orders, customers, coupons, points, complaints and energy by day, week or month."""
    last = _day("--to", until) if until else datetime.datetime.now(datetime.UTC).date()
    first = _day("--from", since) if since else last - datetime.timedelta(days=_LAST_DAYS - 1)
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.reports import reports

        names = _names(only, tuple(reports.TITLES))
        with err.status("counting"):
            made = reports.report(
                crm.context,
                by,
                first,
                last,
                at_ms=now_ms(),
                timezone=timezone,
                places=[_place(one) for one in places or []],
            )
    title = f"{made.vertical} · {first} … {last} · {timezone}"
    out.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    for name in names:
        _print(reports.TITLES[name], made.tables[name])
    for file in exports or []:
        written = made.write(file)
        out.print(f"{len(written)} tables: {escape(str(written[0]))} …", highlight=False, soft_wrap=True)
    if html is not None:
        from dispatch.analysis.crm_report import write_crm_report

        with err.status("drawing the report"):
            write_crm_report(html, made)
        out.print(f"report: {escape(str(html))}", highlight=False, soft_wrap=True)


def _day(option: str, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}: it must be a day such as 2025-03-31") from None


def _place(text: str) -> tuple[str, str]:
    tenant, slash, city = text.partition("/")
    if not slash:
        raise InputError(f"--place is {text!r}: it must be TENANT/CITY")
    return tenant, city


def _names(only: str | None, known: Sequence[str]) -> Sequence[str]:
    from dispatch.crm.rules import check_one_of

    if only is None:
        return known
    names = [name.strip() for name in only.split(",")]
    for name in names:
        check_one_of("--only", name, tuple(known))
    return names


def _print(title: str, table: pa.Table) -> None:
    """Print a table, without columns that say nothing; nothing of an empty one."""
    from dispatch.analysis.crm_columns import COLUMNS, cell

    first = table.schema.names[0]
    rows = table.to_pylist()
    told = [name for name in table.schema.names[1:] if any(row[name] not in (None, 0) for row in rows)]
    if not told:
        return
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column(COLUMNS[first].label, no_wrap=True)
    for name in told:
        shown.add_column(COLUMNS[name].label, justify="right")
    for row in rows:
        shown.add_row(escape(cell(first, row[first])), *(escape(cell(name, row[name])) for name in told))
    out.print(shown)
