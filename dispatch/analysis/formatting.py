"""Numbers as people read them: ``97.4 %``, ``3 min 42 s``; an en dash for what was not measured."""

from __future__ import annotations

NOT_MEASURED = "–"


def format_share(value: float | None) -> str:
    """Format a share of one as per cent: ``97.4 %``."""
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def format_points(value: float | None) -> str:
    """Format a difference of shares with its sign, in per cent of the whole: ``+1.2 points``."""
    if value is None:
        return NOT_MEASURED
    return f"{100 * value:+.1f} points".replace("-", "−")


def format_duration(value_s: float | None) -> str:
    """Format seconds: ``8.4 s``, ``3 min 42 s``, ``2 h 05 min``; a negative duration with its sign."""
    if value_s is None:
        return NOT_MEASURED
    sign, size_s = ("−" if value_s < 0 else ""), abs(value_s)
    if round(size_s, 1) < 60:
        return f"{sign}{size_s:.1f} s"
    whole_s = round(size_s)
    if whole_s < 3600:
        return f"{sign}{whole_s // 60} min {whole_s % 60:02d} s"
    whole_min = round(size_s / 60)
    return f"{sign}{whole_min // 60} h {whole_min % 60:02d} min"


def format_km(value_km: float | None) -> str:
    """Format kilometres: ``1.84 km``."""
    return NOT_MEASURED if value_km is None else f"{value_km:,.2f} km"


def format_number(value: float | None) -> str:
    """Format a plain number: ``1.27``."""
    return NOT_MEASURED if value is None else f"{value:,.2f}"


def format_money_per_h(value_cents: float | None) -> str:
    """Format cents an hour in whole currency units, whichever the fares are in: ``31.20 per h``."""
    return NOT_MEASURED if value_cents is None else f"{value_cents / 100:,.2f} per h"


def format_count(value: int | None) -> str:
    """Format a count with thousands: ``18,204``."""
    return NOT_MEASURED if value is None else f"{value:,d}"
