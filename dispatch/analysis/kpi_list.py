"""The list of key figures: the one place that defines each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dispatch.analysis.driver_table import SHORT_ARRIVAL_MS
from dispatch.analysis.formatting import (
    format_duration,
    format_km,
    format_money_per_h,
    format_number,
    format_points,
    format_share,
)
from dispatch.analysis.measured import Measured, between_s
from dispatch.analysis.priority import OVERTAKEN_WITHIN_M, longest_priority_wait_s, tier_gap
from dispatch.analysis.promises import (
    eta_regret_mean_s,
    eta_regret_s,
    far_pickup_share,
    late_share,
    miss_predicted_share,
    miss_recall_share,
    miss_true_share,
    pickup_eta_mae_s,
)
from dispatch.analysis.statistics import gini, kaplan_meier_quantile, mean, quantile, share
from dispatch.units import MS_PER_S, NO_VALUE

GOLDEN_RESPONSE_MS: Final = 300 * MS_PER_S
GOLDEN_ETA_MS: Final = 600 * MS_PER_S
MIN_ACCEPTANCES: Final = 5
"""Drivers with fewer count in no quantile over drivers: one arrival would make all the difference."""
_M_PER_KM: Final = 1000
OF_DRIVERS: Final = frozenset(
    {
        "empty_km_share",
        "empty_km_pickup_share",
        "empty_km_idle_share",
        "empty_km_repositioning_share",
        "five_minute_arrival_driver_p10_share",
        "pickup_km_per_order",
        "utilisation_share",
        "busy_share",
        "driver_cancel_share",
        "driver_income_mean_cents_per_h",
        "driver_income_p10_cents_per_h",
        "driver_income_p90_cents_per_h",
        "driver_income_gini",
    }
)
"""KPIs that are measured on drivers' time, metres, income and assignments."""


@dataclass(frozen=True)
class Kpi:
    """One key figure: what it is called, what it means and how it is measured."""

    name: str
    """As in tables and files, the unit last"""
    label: str
    """For people"""
    definition: str
    """One sentence with the formula"""
    better: Literal["up", "down"] | None
    """Which way is better; ``None`` where neither is"""
    format: Callable[[float | None], str]
    """Text of a value for people"""
    measure: Callable[[Measured], float | None]
    needs_driven_travel: bool = False
    """Measurable only where real (or simulated traffic's) travel differs from the prediction"""
    needs_cancelling: bool = False
    """Measurable only where customers and drivers can cancel"""

    @property
    def of(self) -> Literal["orders", "drivers"]:
        """What it is measured on.

        A KPI of orders has a value for any group of orders. One of drivers has none: a driver serves orders
        of many groups, and the time and the metres between them belong to no order.
        """
        return "drivers" if self.name in OF_DRIVERS else "orders"

    def is_void(self, *, travel_is_predicted: bool, nobody_cancels: bool) -> bool:
        """Say whether it would be what it is by construction, and so measure nothing."""
        return (travel_is_predicted and self.needs_driven_travel) or (
            nobody_cancels and self.needs_cancelling
        )


def _completion(m: Measured) -> float | None:
    return share(np.count_nonzero(m.orders.is_completed), len(m.orders))


def _response(level: float) -> Callable[[Measured], float | None]:
    return lambda m: kaplan_meier_quantile(*m.response_s, level)


def _golden_five(m: Measured) -> float | None:
    response_s, accepted = m.response_s
    return share(np.count_nonzero(accepted & (response_s * MS_PER_S <= GOLDEN_RESPONSE_MS)), len(m.orders))


def _num_golden_ten(m: Measured) -> int:
    quoted = m.orders.quoted_eta_ms
    return int(np.count_nonzero((quoted != NO_VALUE) & (quoted <= GOLDEN_ETA_MS)))


def _short_arrival(m: Measured) -> float | None:
    arrival_s = between_s(m.orders.accepted_at_ms, m.orders.arrived_at_ms)
    return share(np.count_nonzero(arrival_s * MS_PER_S <= SHORT_ARRIVAL_MS), m.num_accepted)


def _phantom_cars(m: Measured) -> float | None:
    response_s, accepted = m.response_s
    shown = m.orders.num_cars_shown >= 1
    in_time = accepted & (response_s * MS_PER_S <= GOLDEN_RESPONSE_MS)
    return share(np.count_nonzero(shown & ~in_time), np.count_nonzero(shown))


def _short_arrival_of_drivers(m: Measured) -> float | None:
    drivers = m.drivers
    known = drivers.num_accepted >= MIN_ACCEPTANCES
    return quantile(drivers.num_short_arrivals[known] / drivers.num_accepted[known], 0.1)


def _empty_km(m: Measured) -> float | None:
    return share(m.driven_m - int(m.drivers.trip_m.sum()), m.driven_m)


def _of_driven(*fields: str) -> Callable[[Measured], float | None]:
    return lambda m: share(sum(int(getattr(m.drivers, field).sum()) for field in fields), m.driven_m)


def _pickup_km(m: Measured) -> float | None:
    return share(int(m.drivers.pickup_m.sum()) / _M_PER_KM, int(m.drivers.num_trips.sum()))


def _of_online(*fields: str) -> Callable[[Measured], float | None]:
    def measure(m: Measured) -> float | None:
        spent_ms = sum(int(getattr(m.drivers, field).sum()) for field in fields)
        return share(spent_ms, int(m.drivers.online_ms.sum()))

    return measure


def _customer_cancel(
    stage: Literal["any", "open", "accepted", "arrived"],
) -> Callable[[Measured], float | None]:
    def measure(m: Measured) -> float | None:
        cancelled, arrived = m.orders.cancelled_at_ms != NO_VALUE, m.orders.arrived_at_ms != NO_VALUE
        of_stage = {
            "any": cancelled,
            "open": cancelled & ~m.orders.is_accepted,
            "accepted": cancelled & m.orders.is_accepted & ~arrived,
            "arrived": cancelled & arrived,
        }
        return share(np.count_nonzero(of_stage[stage]), len(m.orders))

    return measure


def _stage(from_column: str, to_column: str) -> Callable[[Measured], float | None]:
    def measure(m: Measured) -> float | None:
        from_at_ms, to_at_ms = (getattr(m.orders, column) for column in (from_column, to_column))
        return mean(between_s(np.where(m.orders.closed_at_ms != NO_VALUE, from_at_ms, NO_VALUE), to_at_ms))

    return measure


KPIS: Final = (
    Kpi(
        "completion_share",
        "Completed orders",
        "Orders whose passenger was dropped off / orders submitted.",
        "up",
        format_share,
        _completion,
    ),
    *(
        Kpi(
            f"response_p{percent}_s",
            f"Response time, {name}",
            "Time from request (of orders booked ahead: from the wanted pickup) to the first acceptance that "
            f"{percent} % of orders stay within (Kaplan–Meier: orders cancelled, expired or still open are "
            "censored); empty where too few were accepted to tell.",
            "down",
            format_duration,
            _response(percent / 100),
        )
        for percent, name in ((50, "median"), (90, "90th percentile"), (99, "99th percentile"))
    ),
    Kpi(
        "golden5_share",
        "Golden five minutes",
        "Orders accepted within 300 s of the request (of orders booked ahead: of the wanted pickup) / orders "
        "submitted.",
        "up",
        format_share,
        _golden_five,
    ),
    Kpi(
        "golden10_share",
        "Golden ten minutes",
        "Orders whose last acceptance quoted a pickup ETA of at most 600 s / orders accepted.",
        "up",
        format_share,
        lambda m: share(_num_golden_ten(m), m.num_accepted),
    ),
    Kpi(
        "golden10_of_submitted_share",
        "Golden ten minutes, of all orders",
        "Orders whose last acceptance quoted a pickup ETA of at most 600 s / orders submitted.",
        "up",
        format_share,
        lambda m: share(_num_golden_ten(m), len(m.orders)),
    ),
    Kpi(
        "five_minute_arrival_share",
        "Arrival within five minutes",
        "Orders whose driver reached the pickup within 300 s of accepting / orders accepted.",
        "up",
        format_share,
        _short_arrival,
    ),
    Kpi(
        "five_minute_arrival_driver_p10_share",
        "Arrival within five minutes, 10th percentile of drivers",
        "Pickups reached within 300 s of being given the order / orders given, that 90 % of drivers exceed, "
        f"over drivers with at least {MIN_ACCEPTANCES} orders given.",
        "up",
        format_share,
        _short_arrival_of_drivers,
    ),
    Kpi(
        "arrival_after_accept_mean_s",
        "Arrival after acceptance, mean",
        "Mean time from the acceptance to the driver's arrival, over orders whose driver arrived.",
        "down",
        format_duration,
        lambda m: mean(between_s(m.orders.accepted_at_ms, m.orders.arrived_at_ms)),
    ),
    Kpi(
        "wait_mean_s",
        "Wait, mean",
        "Mean time from request to boarding, over orders that were picked up; booked in advance: from the "
        "wanted time, never less than 0.",
        "down",
        format_duration,
        lambda m: mean(m.wait_s()),
    ),
    Kpi(
        "wait_p50_s",
        "Wait, median",
        "Median time from request to boarding, over orders that were picked up.",
        "down",
        format_duration,
        lambda m: quantile(m.wait_s(), 0.5),
    ),
    Kpi(
        "wait_p90_s",
        "Wait, 90th percentile",
        "Time from request to boarding that 90 % of the orders picked up stay within.",
        "down",
        format_duration,
        lambda m: quantile(m.wait_s(), 0.9),
    ),
    Kpi(
        "pickup_eta_mae_s",
        "Pickup ETA error, mean size",
        "Mean of |arrival − (acceptance + quoted ETA)|, over orders whose driver arrived; empty where "
        "drivers travel exactly as predicted.",
        "down",
        format_duration,
        pickup_eta_mae_s,
        needs_driven_travel=True,
    ),
    Kpi(
        "pickup_eta_bias_s",
        "Pickup ETA error, bias",
        "Mean of arrival − (acceptance + quoted ETA), positive where drivers come late; empty where "
        "drivers travel exactly as predicted.",
        None,
        format_duration,
        lambda m: mean(m.eta_error_s()),
        needs_driven_travel=True,
    ),
    *(
        Kpi(
            f"pickup_late{minutes}_share",
            f"Over {minutes} minutes late",
            f"Orders whose driver arrived more than {60 * minutes} s after acceptance + quoted ETA / orders "
            "whose driver arrived; empty where drivers travel exactly as predicted.",
            "down",
            format_share,
            late_share(60.0 * minutes),
            needs_driven_travel=True,
        )
        for minutes in (5, 10)
    ),
    Kpi(
        "miss_predicted_share",
        "Predicted misses",
        "Orders whose last driver was predicted to come too late / orders accepted; empty where none was.",
        "down",
        format_share,
        miss_predicted_share,
    ),
    Kpi(
        "miss_true_share",
        "Predicted misses that came true",
        "Orders over 5 minutes late / orders predicted to be late and arrived at; empty where none was.",
        "up",
        format_share,
        miss_true_share,
    ),
    Kpi(
        "miss_recall_share",
        "Misses that were predicted",
        "Orders predicted to be late / orders over 5 minutes late; empty where no miss was predicted.",
        "up",
        format_share,
        miss_recall_share,
    ),
    Kpi(
        "phantom_cars_share",
        "Phantom cars",
        "Orders shown at least one nearby car and not accepted within 300 s / orders shown at least one.",
        "down",
        format_share,
        _phantom_cars,
    ),
    Kpi(
        "far_pickup_share",
        "Near order, far pickup",
        "Orders assigned with a pickup ETA more than 180 s above the nearest eligible driver's / orders "
        "accepted.",
        "down",
        format_share,
        far_pickup_share,
    ),
    Kpi(
        "eta_regret_mean_s",
        "ETA above the nearest driver's, mean",
        "Mean of assigned pickup ETA − the nearest eligible driver's ETA, over orders assigned.",
        "down",
        format_duration,
        eta_regret_mean_s,
    ),
    *(
        Kpi(
            f"eta_regret_p{percent}_s",
            f"ETA above the nearest driver's, {name}",
            f"Assigned pickup ETA − the nearest eligible driver's ETA that {percent} % of the orders "
            "assigned stay within.",
            "down",
            format_duration,
            eta_regret_s(percent / 100),
        )
        for percent, name in ((50, "median"), (90, "90th percentile"), (99, "99th percentile"))
    ),
    Kpi(
        "empty_km_share",
        "Empty driving",
        "Metres without a passenger / all metres.",
        "down",
        format_share,
        _empty_km,
    ),
    Kpi(
        "empty_km_idle_share",
        "Empty driving, idle",
        "Metres that drivers without an order cruise of their own accord / all metres; 0 where they park.",
        "down",
        format_share,
        _of_driven("cruising_m"),
    ),
    Kpi(
        "empty_km_pickup_share",
        "Empty driving, to pickups",
        "Metres to pickups, also to those not reached because the order was cancelled or taken away / all "
        "metres.",
        "down",
        format_share,
        _of_driven("pickup_m", "abandoned_m"),
    ),
    Kpi(
        "empty_km_repositioning_share",
        "Empty driving, repositioning",
        "Metres that drivers without an order drive to where they were advised to / all metres.",
        "down",
        format_share,
        _of_driven("repositioning_m"),
    ),
    Kpi(
        "pickup_km_per_order",
        "Pickup distance per trip",
        "Kilometres to pickups that were reached / trips completed.",
        "down",
        format_km,
        _pickup_km,
    ),
    Kpi(
        "utilisation_share",
        "Utilisation",
        "Drivers' time with a passenger, also while the next order is fixed / their time online.",
        "up",
        format_share,
        _of_online("occupied_ms"),
    ),
    Kpi(
        "busy_share",
        "Busy time",
        "Drivers' time on the way to a pickup, at it or with a passenger / their time online.",
        None,
        format_share,
        _of_online("to_pickup_ms", "at_pickup_ms", "occupied_ms"),
    ),
    Kpi(
        "driver_cancel_share",
        "Assignments undone",
        "Assignments taken from their driver again, by the driver or by hand (the log does not tell them "
        "apart) / assignments, also from driver to driver; what is given to another driver at once is not "
        "undone; empty where nobody can cancel.",
        "down",
        format_share,
        lambda m: share(m.num_unassigned, m.num_assigned),
        needs_cancelling=True,
    ),
    Kpi(
        "customer_cancel_share",
        "Cancelled by customers",
        "Orders cancelled / orders submitted; empty where nobody can cancel.",
        "down",
        format_share,
        _customer_cancel("any"),
        needs_cancelling=True,
    ),
    Kpi(
        "customer_cancel_before_acceptance_share",
        "Cancelled before acceptance",
        "Orders cancelled that no driver had accepted / orders submitted; empty where nobody can cancel.",
        "down",
        format_share,
        _customer_cancel("open"),
        needs_cancelling=True,
    ),
    Kpi(
        "customer_cancel_after_acceptance_share",
        "Cancelled after acceptance",
        "Orders cancelled after a driver had accepted and before the last one to do so had arrived / orders "
        "submitted; empty where nobody can cancel.",
        "down",
        format_share,
        _customer_cancel("accepted"),
        needs_cancelling=True,
    ),
    Kpi(
        "customer_cancel_after_arrival_share",
        "Cancelled after arrival",
        "Orders cancelled after the last driver to accept had arrived, by a customer at the door or one who "
        "did not come / orders submitted; empty where nobody can cancel.",
        "down",
        format_share,
        _customer_cancel("arrived"),
        needs_cancelling=True,
    ),
    Kpi(
        "expired_share",
        "Expired orders",
        "Orders that ended because no driver was found in time / orders submitted.",
        "down",
        format_share,
        lambda m: share(np.count_nonzero(m.orders.expired_at_ms != NO_VALUE), len(m.orders)),
    ),
    Kpi(
        "offers_per_order",
        "Offers per order",
        "Offers made to drivers / orders submitted.",
        "down",
        format_number,
        lambda m: share(int(m.orders.num_offers.sum()), len(m.orders)),
    ),
    Kpi(
        "processing_mean_s",
        "Processing time, mean",
        "Mean time from request to the closing of the order, over orders closed.",
        "down",
        format_duration,
        lambda m: mean(between_s(m.orders.submitted_at_ms, m.orders.closed_at_ms)),
    ),
    *(
        Kpi(
            f"processing_{stage}_mean_s",
            f"Processing time, {label}",
            f"Mean time from {what}, over orders closed.",
            None if stage == "drop" else "down",
            format_duration,
            _stage(from_column, to_column),
        )
        for stage, label, what, from_column, to_column in (
            (
                "accept",
                "until accepted",
                "the request to the last acceptance",
                "submitted_at_ms",
                "accepted_at_ms",
            ),
            (
                "arrive",
                "until arrived",
                "the last acceptance to the driver's arrival",
                "accepted_at_ms",
                "arrived_at_ms",
            ),
            (
                "board",
                "until boarded",
                "the driver's arrival to the boarding",
                "arrived_at_ms",
                "picked_up_at_ms",
            ),
            ("drop", "on the trip", "the boarding to the drop-off", "picked_up_at_ms", "dropped_off_at_ms"),
            ("close", "until closed", "the drop-off to the closing", "dropped_off_at_ms", "closed_at_ms"),
        )
    ),
    Kpi(
        "response_p50_tier_gap_s",
        "Tier gap, median response",
        "Median response time of the highest membership tier − that of the lowest; empty of fewer than two "
        "tiers.",
        None,
        format_duration,
        lambda m: tier_gap(m, _response(0.5)),
    ),
    Kpi(
        "completion_tier_gap",
        "Tier gap, completed orders",
        "Share of orders completed of the highest membership tier − that of the lowest; empty of fewer than "
        "two tiers.",
        None,
        format_points,
        lambda m: tier_gap(m, _completion),
    ),
    Kpi(
        "priority_wait_max_s",
        "Longest wait caused by priority",
        "Longest time from the instant that an order was first overtaken to its own acceptance or loss, an "
        "upper bound: overtaken means that, while it waited, one of a higher tier was accepted for the same "
        f"class of car, wanted later and with its pickup within {OVERTAKEN_WITHIN_M:,.0f} m; empty of fewer "
        "than two tiers.",
        "down",
        format_duration,
        longest_priority_wait_s,
    ),
    Kpi(
        "driver_income_mean_cents_per_h",
        "Driver income, mean",
        "Mean over drivers of fares, by the declared fare rule / hours online.",
        "up",
        format_money_per_h,
        lambda m: mean(m.income_per_h()),
    ),
    Kpi(
        "driver_income_p10_cents_per_h",
        "Driver income, 10th percentile",
        "Fares, by the declared fare rule / hours online that 90 % of drivers exceed.",
        "up",
        format_money_per_h,
        lambda m: quantile(m.income_per_h(), 0.1),
    ),
    Kpi(
        "driver_income_p90_cents_per_h",
        "Driver income, 90th percentile",
        "Fares, by the declared fare rule / hours online that 10 % of drivers exceed.",
        "up",
        format_money_per_h,
        lambda m: quantile(m.income_per_h(), 0.9),
    ),
    Kpi(
        "driver_income_gini",
        "Driver income, Gini",
        "Σ(2i − n − 1)·xᵢ / (n·Σxᵢ) of drivers' fares (by the declared fare rule) per hour "
        "online x, ascending: 0 is equal.",
        "down",
        format_number,
        lambda m: gini(m.income_per_h()),
    ),
)
"""Every KPI that a log alone can give, in the order of tables."""

KPI: Final[Mapping[str, Kpi]] = {one.name: one for one in KPIS}
"""The same by name."""
