"""How people behave in a simulated day: each number has its source, or is marked an assumption.

Every behaviour draws from a stream of its own, keyed by the seed, the behaviour and the person, so that
changing one leaves the draws of all others as they were: :mod:`dispatch.kernels.random_streams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole

CRUISING = ("park", "random_walk", "drift", "hot_spots")
MAX_TIERS = 8
MAX_CLASSES = 8


def check_share(name: str, value: float) -> None:
    """Raise :class:`InputError` unless `value` is a share from 0 to 1."""
    check_range(name, value, 0, 1)


def check_shares(name: str, values: Sequence[float], most: int) -> None:
    """Raise :class:`InputError` unless `values` are 1 to `most` shares that sum to 1."""
    if not isinstance(values, tuple) or not 1 <= len(values) <= most:
        raise InputError(f"{name} is {values!r}: it must be a list of 1 to {most} shares")
    for i, value in enumerate(values):
        check_share(f"{name}[{i}]", value)
    if abs(sum(values) - 1) > 1e-6:
        raise InputError(f"{name} is {list(values)}: the shares sum to {sum(values):g}, they must sum to 1")


@dataclass(frozen=True)
class CustomerParams:
    """What customers do while they wait, and who they are.

    Parameters
    ----------
    impatient_share : float
        Share of customers who cancel when no driver has accepted after ``impatient_after_s``. A survey of
        users of ride-hailing reports 41 % at five minutes.
    impatient_after_s : float
    patience_hazard_per_min : float
        Rate at which the others cancel for every minute without an acceptance. An assumption.
    far_eta_s : float
        A pickup ETA above this is far ...
    far_eta_refusal_share : float
        ... and so large a share cancels on being quoted it. The same survey: 50 % above ten minutes.
    late_after_s : float
        A driver is late so long after the quoted pickup ETA ...
    late_cancel_share : float
        ... and so large a share cancels then. An assumption.
    no_show_share : float
        Share of customers who are not there when the driver comes. An assumption.
    no_show_wait_s : float
        How long the driver waits for them. An assumption, as in the terms of several operators.
    retry_share : float
        Share of customers left unserved (expired, or cancelled out of impatience before an acceptance) who
        ask again. An assumption.
    retry_after_s : float
        Mean time until they do, exponential. An assumption.
    max_retries : int
    first_time_share : float
        Share of orders by customers who never ordered before. An assumption.
    orders_per_customer : float
        Mean orders of the day of a customer who did. An assumption; ids of customers are made up by it.
    tier_shares : tuple of float
        Share of customers in each membership tier, lowest first. An assumption.
    class_shares : tuple of float
        Share of orders that ask for each class of vehicles, ordinary first. An assumption.
    prebooked_share : float
        Share of orders that were booked ahead. An assumption.
    prebooked_ahead_min : tuple of float
        Least and most minutes between booking and wanted pickup, uniform. An assumption.
    """

    impatient_share: float = 0.41
    impatient_after_s: float = 300.0
    patience_hazard_per_min: float = 0.01
    far_eta_s: float = 600.0
    far_eta_refusal_share: float = 0.5
    late_after_s: float = 300.0
    late_cancel_share: float = 0.2
    no_show_share: float = 0.01
    no_show_wait_s: float = 300.0
    retry_share: float = 0.5
    retry_after_s: float = 300.0
    max_retries: int = 2
    first_time_share: float = 0.05
    orders_per_customer: float = 1.3
    tier_shares: tuple[float, ...] = (0.8, 0.15, 0.05)
    class_shares: tuple[float, ...] = (0.92, 0.08)
    prebooked_share: float = 0.05
    prebooked_ahead_min: tuple[float, float] = (30.0, 240.0)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for one in fields(self):
            if one.name.endswith("_share"):
                check_share(one.name, getattr(self, one.name))
        check_range("impatient_after_s", self.impatient_after_s, 1, 86_400, "seconds")
        check_range("patience_hazard_per_min", self.patience_hazard_per_min, 0, 60, "per minute")
        check_range("far_eta_s", self.far_eta_s, 0, 86_400, "seconds")
        check_range("late_after_s", self.late_after_s, 0, 86_400, "seconds")
        check_range("no_show_wait_s", self.no_show_wait_s, 0, 7200, "seconds")
        check_range("retry_after_s", self.retry_after_s, 1, 86_400, "seconds")
        check_whole("max_retries", self.max_retries, 0, 20)
        check_range("orders_per_customer", self.orders_per_customer, 1, 100)
        check_shares("tier_shares", self.tier_shares, MAX_TIERS)
        check_shares("class_shares", self.class_shares, MAX_CLASSES)
        _check_span("prebooked_ahead_min", self.prebooked_ahead_min, 0, 1440, "minutes")


@dataclass(frozen=True)
class DriverParams:
    """What drivers do with offers, and between trips.

    Parameters
    ----------
    accept_bias, accept_per_pickup_min, accept_per_fare : float
        The odds of accepting an offer are exp(bias - per_pickup_min x minutes to the pickup + per_fare x fare
        in units of money), a logit. Assumptions: 5 minutes to a trip of 15.00 give 0.98, 15 minutes 0.86.
    answer_s : tuple of float
        Least and most seconds until an offer is answered, uniform; it expires before an answer that takes
        longer than ``offer_timeout_s``. An assumption.
    cancel_share : float
        Share of accepted orders that the driver gives up on the way. An assumption.
    break_after_h, break_min : float
        After so many hours on duty a driver takes a break of so many minutes; 0 hours: never. An assumption,
        in the spirit of common rules on driving time.
    wind_down_min : float
        A driver without an order goes off duty so long before the end of the shift ...
    wind_down_share : float
        ... with this probability, asked at the end of each trip. An assumption.
    cruising : str
        What an idle driver does: ``park``; ``random_walk`` to neighbouring squares; ``drift`` to where orders
        are many at that hour; ``hot_spots`` as learnt from recorded pings (San Francisco), which needs pings.
    home_share : float
        Share of an idle driver's moves that lead to its preferred area, where its shifts begin, instead. An
        assumption.
    follow_share : float
        Share of advice to reposition that is followed. An assumption.
    """

    accept_bias: float = 4.2
    accept_per_pickup_min: float = 0.2
    accept_per_fare: float = 0.04
    answer_s: tuple[float, float] = (2.0, 9.0)
    cancel_share: float = 0.01
    break_after_h: float = 4.0
    break_min: float = 20.0
    wind_down_min: float = 15.0
    wind_down_share: float = 0.5
    cruising: str = "park"
    home_share: float = 0.1
    follow_share: float = 0.8

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_range("accept_bias", self.accept_bias, -100, 100)
        check_range("accept_per_pickup_min", self.accept_per_pickup_min, -10, 10, "per minute")
        check_range("accept_per_fare", self.accept_per_fare, -10, 10)
        _check_span("answer_s", self.answer_s, 0, 3600, "seconds")
        check_range("break_after_h", self.break_after_h, 0, 24, "hours")
        check_range("break_min", self.break_min, 0, 1440, "minutes")
        check_range("wind_down_min", self.wind_down_min, 0, 1440, "minutes")
        for name in ("cancel_share", "wind_down_share", "home_share", "follow_share"):
            check_share(name, getattr(self, name))
        if self.cruising not in CRUISING:
            raise InputError(f"cruising is {self.cruising!r}: it must be one of {', '.join(CRUISING)}")


@dataclass(frozen=True)
class VehicleParams:
    """What drivers drive.

    Parameters
    ----------
    class_shares : tuple of float
        Share of cars of each class, ordinary first. A car may serve orders of its class and, where
        ``upgrades``, of the lower ones. An assumption.
    upgrades : bool
        Both this and the engine's parameter of that name must be true for it.
    seats : tuple of int
        Seats for passengers of the cars of each class.
    electric_share : float
        Share of cars that need energy stops. An assumption.
    range_km : float
        What a full battery drives. An assumption: a usual city car, winter and ageing allowed for.
    reserve_share : float
        A driver without an order goes to charge when less than this is left. An assumption.
    charge_min : float
        Minutes from empty to full; a stop fills the battery, at a constant rate. An assumption.
    num_stations, slots_per_station : int
        Charging stations, spread over the city where pickups are many; each charges so many cars at once and
        queues the others. Assumptions.
    """

    class_shares: tuple[float, ...] = (0.85, 0.15)
    upgrades: bool = True
    seats: tuple[int, ...] = (4, 6)
    electric_share: float = 0.2
    range_km: float = 220.0
    reserve_share: float = 0.2
    charge_min: float = 40.0
    num_stations: int = 20
    slots_per_station: int = 4

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_shares("class_shares", self.class_shares, MAX_CLASSES)
        if not isinstance(self.seats, tuple) or len(self.seats) != len(self.class_shares):
            raise InputError(
                f"seats is {self.seats!r}: it must be a list with one number for each of the "
                f"{len(self.class_shares)} classes of class_shares"
            )
        for i, seats in enumerate(self.seats):
            check_whole(f"seats[{i}]", seats, 1, 100)
        if not isinstance(self.upgrades, bool):
            raise InputError(f"upgrades is {self.upgrades!r}: it must be true or false")
        check_share("electric_share", self.electric_share)
        check_range("range_km", self.range_km, 1, 10_000, "kilometres")
        check_share("reserve_share", self.reserve_share)
        check_range("charge_min", self.charge_min, 0, 1440, "minutes")
        check_whole("num_stations", self.num_stations, 1, 10_000)
        check_whole("slots_per_station", self.slots_per_station, 1, 1000)


@dataclass(frozen=True)
class TrafficParams:
    """How true travel times differ from predicted ones, and who predicts.

    Parameters
    ----------
    model : str
        ``exact``: as predicted; ``assumed``: a day profile and log-normal noise, an assumption; ``fitted``:
        fitted on the recorded trips of earlier days, where there are any, else ``assumed``.
    eta : str
        What the engine predicts with: ``traffic``, the times that the model predicts; ``free_flow``; or the
        path of a model of ETAs, as ``dispatch eta train`` writes it. True times stay those of ``model``.
    """

    model: str = "fitted"
    eta: str = "traffic"

    def __post_init__(self) -> None:
        """Refuse unknown models, and what can be no path."""
        if self.model not in TRAFFIC_MODELS:
            raise InputError(f"model is {self.model!r}: it must be one of {', '.join(TRAFFIC_MODELS)}")
        if not isinstance(self.eta, str) or not self.eta.strip() or "\0" in self.eta:
            raise InputError(f"eta is {self.eta!r}: {ETA_RULE}")


TRAFFIC_MODELS = ("exact", "assumed", "fitted")
ETAS_OF_TRAFFIC: Final = "traffic"
FREE_FLOW_ETAS: Final = "free_flow"
ETA_RULE: Final = (
    f"it must be {ETAS_OF_TRAFFIC} (as the model predicts), {FREE_FLOW_ETAS}, or the file of a model that "
    "dispatch eta train made of this city"
)


@dataclass(frozen=True)
class Behaviour:
    """Everybody's behaviour; :meth:`none` is a city of machines."""

    customers: CustomerParams = field(default_factory=CustomerParams)
    drivers: DriverParams = field(default_factory=DriverParams)
    vehicles: VehicleParams = field(default_factory=VehicleParams)
    traffic: TrafficParams = field(default_factory=TrafficParams)

    @classmethod
    def none(cls) -> Behaviour:
        """Nobody cancels, declines, rests, charges or cruises; all cars are alike and travel as predicted."""
        return cls(
            CustomerParams(
                impatient_share=0.0,
                patience_hazard_per_min=0.0,
                far_eta_refusal_share=0.0,
                late_cancel_share=0.0,
                no_show_share=0.0,
                retry_share=0.0,
                first_time_share=0.0,
                tier_shares=(1.0,),
                class_shares=(1.0,),
                prebooked_share=0.0,
            ),
            DriverParams(
                accept_bias=100.0,
                accept_per_pickup_min=0.0,
                accept_per_fare=0.0,
                answer_s=(0.0, 0.0),
                cancel_share=0.0,
                break_after_h=0.0,
                wind_down_share=0.0,
                home_share=0.0,
            ),
            VehicleParams(class_shares=(1.0,), seats=(100,), electric_share=0.0),
            TrafficParams("exact"),
        )


def _check_span(name: str, span: object, low: float, high: float, unit: str) -> None:
    """Raise unless `span` is two numbers, the second not below the first."""
    if not isinstance(span, tuple) or len(span) != 2:
        raise InputError(f"{name} is {span!r}: it must be a list of the least and the most, {unit}")
    check_range(f"{name}[0]", span[0], low, high, unit)
    check_range(f"{name}[1]", span[1], span[0], high, unit)
