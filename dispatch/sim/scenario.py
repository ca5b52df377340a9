"""A day to simulate: who asks, who drives, how fast, by which policy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.recorded import EmptyDriving
from dispatch.engine.params import DispatchParams, FareRule
from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole
from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.roads.tables import Dropped
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import PathFinder, TravelTimes
from dispatch.roads.trips import RecordedTrips
from dispatch.roads.zones import Zones
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.cruising import CruiseModel
from dispatch.sim.demand import ORDINARY_DAY, DemandProfile, ordinary_day, synthetic_orders
from dispatch.sim.etas import EtaSource
from dispatch.sim.people import People
from dispatch.sim.shifts import Shifts, made_up_shifts
from dispatch.sim.traffic import TrafficModel
from dispatch.units import MS_PER_DAY, MS_PER_S, NO_INDEX

LONGEST_RIDE_S: Final = 3600
MAX_ORDERS: Final = 10_000_000
MIN_ORDERS: Final = 100
MIN_DRIVERS: Final = 5
ORDERS_PER_DRIVER: Final = 25
"""In a shift of 8 hours: as in the built-in city."""
PARKING_NOTE: Final = (
    "Simulated drivers park between orders and save all cruising by construction: their empty driving is "
    "not comparable with that of real taxis, which cruise."
)


@dataclass(frozen=True)
class SimParams:
    """How the simulated day runs.

    Parameters
    ----------
    window_s : float
        The engine steps once in this time.
    boarding_s : float
        From the driver's arrival to the passenger on board. An assumption.
    alighting_s : float
        From reaching the destination to the passenger off board. An assumption; recorded trips lasted
        their recorded duration, this included.
    ping_s : float
        Every driver on duty sends its position this often.
    cruising_told_s : float
        A driver who cruises tells the metres when it stops or is called, and when it has cruised for so long
        without; 0: at the end of each of its legs.
    """

    window_s: float = 30.0
    boarding_s: float = 30.0
    alighting_s: float = 15.0
    ping_s: float = 60.0
    cruising_told_s: float = 600.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_range("window_s", self.window_s, 0.1, 3600, "seconds")
        check_range("boarding_s", self.boarding_s, 0, 3600, "seconds")
        check_range("alighting_s", self.alighting_s, 0, 3600, "seconds")
        check_range("ping_s", self.ping_s, 1, 3600, "seconds")
        check_range("cruising_told_s", self.cruising_told_s, 0, 86_400, "seconds")


@dataclass(frozen=True)
class Scenario:
    """Everything that a run needs; equal scenarios give equal event logs.

    ``orders`` are those to be submitted, both ends on the network, sorted by time; row = order id.
    """

    city: City
    orders: RecordedTrips
    shifts: Shifts
    travel_times: PathFinder | ByTime[PathFinder]
    """of which drivers and the engine use those of the instant, for whole legs"""
    start_at_ms: int
    timezone: str
    """in which the report's hours are told"""
    date: str | None = None
    """ISO date of the day, None where the source names none"""
    orders_outside: int = 0
    """recorded orders left out because an end is off the network"""
    recorded: EmptyDriving | None = None
    """empty driving of the real taxis on that day, where their pings tell"""
    slowdown: float = 1.0
    """travel times over free-flow travel times"""
    seed: int = 1
    params: DispatchParams = field(default_factory=DispatchParams)
    sim: SimParams = field(default_factory=SimParams)
    fare: FareRule = field(default_factory=FareRule)
    notes: tuple[str, ...] = (PARKING_NOTE,)
    drops: tuple[Dropped, ...] = ()
    """rows of the city's files and of the day's pings that were left out"""
    behaviour: Behaviour = field(default_factory=Behaviour.none)
    zones: Zones | None = None
    """zones to tell figures by; geofences and taxi ranks among them"""
    traffic: TrafficModel = field(default_factory=TrafficModel.exact)
    """how predicted and true travel times follow from ``travel_times``"""
    recorded_durations: bool = True
    """rides last as recorded where that is known, else as the traffic says"""
    cruise: CruiseModel | None = None
    """how idle drivers move; None: they park"""
    wanted_at_ms: NDArray[np.int64] | None = None
    """(orders,) when customers want to be picked up, where some have booked ahead"""
    node_rank: NDArray[np.int32] | None = None
    """(nodes,) the taxi rank that each node belongs to, NO_INDEX for none; None: there are no ranks"""
    etas: TravelTimes | ByTime[TravelTimes] | None = None
    """what the engine predicts with; None: with what the traffic predicts"""
    eta_source: EtaSource | None = None
    """where ``etas`` come from, for the record"""
    people: People | None = None
    """who asks, order by order; None: made up by the shares of the behaviour"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.sim.ping_s > self.params.stale_position_s:
            raise InputError(
                f"ping_s is {self.sim.ping_s:g}: it must not be above stale_position_s, "
                f"{self.params.stale_position_s:g}, or parked drivers are no cars half of the time"
            )
        if not len(self.shifts):
            raise InputError("the fleet is empty: no driver is on duty on that day; give --drivers N")
        if not len(self.orders):
            raise InputError("there are no orders on that day: choose another date")
        ends = (self.orders.pickup_node, self.orders.dropoff_node)
        if any((node == NO_INDEX).any() for node in ends):
            raise InputError("an order has an end off the network: leave such orders out and count them")
        if self.people is not None:
            self.people.check_as_many(len(self.orders))

    def travel_times_at(self, at_ms: int) -> PathFinder:
        """Give the travel times in force at an instant."""
        return self.travel_times if isinstance(self.travel_times, Metric) else _at(self.travel_times, at_ms)

    def with_policy(self, policy: str) -> Scenario:
        """Give the same day under another policy."""
        return replace(self, params=replace(self.params, policy=policy))


def _at(travel_times: PathFinder | ByTime[PathFinder], at_ms: int) -> PathFinder:
    return travel_times.at(at_ms) if isinstance(travel_times, ByTime) else travel_times


def made_up_day(
    city: City,
    num_orders: int | None = None,
    num_drivers: int | None = None,
    shift_h: float = 8.0,
    seed: int = 1,
    params: DispatchParams | None = None,
    sim: SimParams | None = None,
    profile: DemandProfile | None = None,
) -> Scenario:
    """Make up a day of any city: orders where its land use says so, and drivers where the orders are.

    Parameters
    ----------
    city : City
        Without land use, that is guessed from its roads: :func:`dispatch.roads.land_use_of_roads`.
    num_orders : int, optional
        By default one for each 200 m of residential street (others by the homes along them), at least 100.
    num_drivers : int, optional
        By default one for 25 orders, at least 5.
    shift_h : float
        Hours that a driver works.
    seed : int
        Of orders and shifts; equal arguments give the same day.
    params, sim : optional
    profile : DemandProfile, optional
        By default the ordinary day, with trips as long as suit the size of the city.

    Raises
    ------
    InputError
        If a number is out of range, or the city has no streets with homes.
    """
    from dispatch.roads.land_use_of_roads import RoadDemandParams, land_use_of_roads, residential_m

    notes = [f"Orders and fleet are made up (seed {seed}); drivers work shifts of {shift_h:g} hours."]
    if city.land_use is None:
        city = replace(city, land_use=land_use_of_roads(city.graph, city.projection))
        notes.append("Where people live, work and go out is guessed from the classes and density of roads.")
    if profile is None:
        profile = ordinary_day(city)
        notes.append(f"The median trip is about {profile.median_trip_m / 1000:.1f} km long, by air.")
    if num_orders is None:
        street_m, street_m_per_order = residential_m(city.graph), RoadDemandParams().street_m_per_order
        num_orders = max(MIN_ORDERS, round(street_m / street_m_per_order))
        rule = f"one for each {street_m_per_order:g} m of {street_m / 1000:,.0f} km of residential street"
        notes.append(f"Number of orders: {rule}.")
    if num_drivers is None:
        num_drivers = max(MIN_DRIVERS, round(num_orders / ORDERS_PER_DRIVER))
        notes.append(f"Number of drivers: one for {ORDERS_PER_DRIVER} orders.")
    check_whole("orders", num_orders, 1, MAX_ORDERS)
    orders = synthetic_orders(city, num_orders, seed, profile=profile)
    params = params or DispatchParams()
    shifts = made_up_shifts(num_drivers, orders, (0, MS_PER_DAY + drain_ms(params)), shift_h, seed)
    return Scenario(
        city,
        orders,
        shifts,
        city.free_flow(),
        0,
        "UTC",
        seed=seed,
        params=params,
        sim=sim or SimParams(),
        notes=(*notes, "Every leg takes its free-flow time.", PARKING_NOTE),
        drops=city.drops,
    )


def synthetic_scenario(
    seed: int = 1,
    num_orders: int = 50_000,
    num_drivers: int = 2_000,
    shift_h: float = 8.0,
    params: DispatchParams | None = None,
    sim: SimParams | None = None,
) -> Scenario:
    """Make a day of the built-in city; equal arguments give the same day."""
    check_whole("orders", num_orders, 1, MAX_ORDERS)
    city = City.synthetic(seed=seed)
    day = made_up_day(city, num_orders, num_drivers, shift_h, seed, params, sim, ORDINARY_DAY)
    note = f"City, demand and fleet are made up (seed {seed}); drivers work shifts of {shift_h:g} hours."
    return replace(day, notes=(note, PARKING_NOTE))


def drain_ms(params: DispatchParams) -> int:
    """How long after a day its last orders may take: drivers are on duty until then."""
    return round((params.max_wait_s + LONGEST_RIDE_S) * MS_PER_S)


def spread_in_time(trips: RecordedTrips, seed: int) -> RecordedTrips:
    """Spread requests evenly within the step of a coarse clock, and sort them by time.

    A source that gives minutes would else submit a minute's orders at one instant.
    """
    at_ms = trips.requested_at_ms
    if trips.resolution_ms > MS_PER_S:
        random = np.random.default_rng([seed, 0x5B4E])
        at_ms = at_ms + random.integers(0, trips.resolution_ms, len(trips))
    order = np.argsort(at_ms, kind="stable")
    return replace(trips.select(order), requested_at_ms=at_ms[order], resolution_ms=1)
