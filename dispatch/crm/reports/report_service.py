"""Tables of a report about complaints: how many, about what, and whether they were answered in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.reports.report_source import NONE_TOLD, Array, Groups, Source, named_groups, ratio, table
from dispatch.crm.tables.service import complaint


def tables(source: Source) -> dict[str, pa.Table]:
    """Make the tables."""
    told = complaint.c
    read = source.arrays(
        sa.select(
            told.code, told.state, told.verdict, told.filed_at_ms, told.respond_by_ms, told.resolve_by_ms,
            told.responded_at_ms, told.resolved_at_ms, told.waiting_since_ms, told.cents,
        ).where(source.in_span(told.filed_at_ms), source.within(told.scope_id)),
        texts=("code", "state", "verdict"),
    )  # fmt: skip
    by_period = Groups(source.periods.rows(read["filed_at_ms"]), len(source.periods.labels))
    # The second clock rests while the customer is waited for.
    waits = read["waiting_since_ms"] != NONE_TOLD
    read["resolve_by_ms"] = read["resolve_by_ms"] + waits * np.maximum(
        source.at_ms - read["waiting_since_ms"], 0
    )
    names, by_code = named_groups(read["code"])
    return {
        "complaints": _counted({"period": list(source.periods.labels)}, by_period, read, source.at_ms),
        "problems": _counted({"problem": pa.array(names, pa.string())}, by_code, read, source.at_ms),
    }


def _counted(first: dict[str, Any], groups: Groups, read: dict[str, Any], now_ms: int) -> pa.Table:
    everything = np.ones(len(read["filed_at_ms"]), bool)
    filed = groups.count(everything)
    took_ms = np.where(
        read["resolved_at_ms"] == NONE_TOLD, NONE_TOLD, read["resolved_at_ms"] - read["filed_at_ms"]
    )
    return table(
        {
            **first,
            "filed": filed,
            "open": groups.count(read["state"] != "resolved"),
            "upheld": groups.count(read["verdict"] == "upheld"),
            "answered_in_time": _kept(groups, read["responded_at_ms"], read["respond_by_ms"], now_ms),
            "resolved_in_time": _kept(groups, read["resolved_at_ms"], read["resolve_by_ms"], now_ms),
            "mean_resolution_ms": groups.mean(took_ms, everything),
            "compensation_cents": groups.total(read["cents"], everything),
        }
    )


def _kept(groups: Groups, done_ms: Array, due_ms: Array, now_ms: int) -> pa.Array:
    """Give the share that was done when due; what is neither done nor due yet does not count."""
    done: NDArray[np.bool_] = done_ms != NONE_TOLD
    judged = done | (due_ms < now_ms)
    return ratio(groups.count(done & (done_ms <= due_ms)), groups.count(judged))
