"""The usual way to keep an engine's events in a database: objects of SQLAlchemy's ORM, a session a batch."""

from sqlalchemy.orm import Session, registry

from dispatch.crm.tables import orders as tables
from dispatch.engine.events import EventKind as Kind
from dispatch.engine.lifecycle import OrderStatus
from dispatch.units import MS_PER_DAY, NO_VALUE

STAGES = {
    Kind.ORDER_SUBMITTED: OrderStatus.OPEN,
    Kind.ORDER_OFFERED: OrderStatus.OFFERED,
    Kind.OFFER_ACCEPTED: OrderStatus.OPEN,
    Kind.OFFER_DECLINED: OrderStatus.OPEN,
    Kind.OFFER_EXPIRED: OrderStatus.OPEN,
    Kind.ORDER_ASSIGNED: OrderStatus.ASSIGNED,
    Kind.ORDER_REASSIGNED: OrderStatus.ASSIGNED,
    Kind.ORDER_UNASSIGNED: OrderStatus.OPEN,
    Kind.ORDER_RELEASED: OrderStatus.OPEN,
    Kind.DRIVER_ARRIVED: OrderStatus.ARRIVED,
    Kind.PICKED_UP: OrderStatus.ON_BOARD,
    Kind.DROPPED_OFF: OrderStatus.DROPPED_OFF,
    Kind.ORDER_CLOSED: OrderStatus.CLOSED,
    Kind.ORDER_CANCELLED: OrderStatus.CANCELLED,
    Kind.ORDER_EXPIRED: OrderStatus.EXPIRED,
}
LATE_AFTER_MS = 300_000


class Order:
    """A row of ``orders``."""


class Stage:
    """A row of ``order_stage``."""


class Offer:
    """A row of ``offer``."""


class Trip:
    """A row of ``trip``."""


class CustomerDay:
    """A row of ``customer_day``."""


class DriverDay:
    """A row of ``driver_day``."""


def map_classes():
    """Map the classes to the CRM's own tables, once a process."""
    mapper = registry()
    for kind, table in (
        (Order, tables.orders),
        (Stage, tables.order_stage),
        (Offer, tables.offer),
        (Trip, tables.trip),
        (CustomerDay, tables.customer_day),
        (DriverDay, tables.driver_day),
    ):
        if not hasattr(kind, "__mapper__"):
            mapper.map_imperatively(kind, table)


class OrmLog:
    """Applies events one at a time, and commits them batch by batch."""

    def __init__(self, engine, stream_id):
        self._engine, self._stream_id, self._seq = engine, stream_id, 0

    def apply(self, events):
        """Apply a batch in one transaction."""
        with Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            session.connection(execution_options={"writes": True})
            self._kept = {}  # objects of the batch: one that is not flushed yet is not found by its key
            rows = zip(*(events[name].tolist() for name in events.dtype.names), strict=True)
            for row in rows:
                self._tell(session, dict(zip(events.dtype.names, row, strict=True)))
            session.commit()

    def _tell(self, session, event):
        kind, at_ms = Kind(event["kind"]), event["at_ms"]
        order_id = None if event["order_id"] == NO_VALUE else event["order_id"]
        driver_id = None if event["driver_id"] == NO_VALUE else event["driver_id"]
        stage = Stage()
        stage.stream_id, stage.seq, stage.kind, stage.at_ms = self._stream_id, self._seq, int(kind), at_ms
        stage.order_id, stage.driver_id = order_id, driver_id
        session.add(stage)
        self._seq += 1
        if order_id is None:
            return
        order = self._get(session, Order, order_id)
        if order is None:
            order = self._kept[Order, order_id] = Order()
            order.order_id, order.stage, order.num_offers = order_id, 0, 0
            session.add(order)
        if kind in STAGES:
            order.stage = int(STAGES[kind])
        act = getattr(self, f"_{kind.name.lower()}", None)
        if act is not None:
            act(session, event, order, driver_id, at_ms)

    def _get(self, session, kind, key):
        if (kind, key) not in self._kept:
            self._kept[kind, key] = session.get(kind, key)
        return self._kept[kind, key]

    def _add(self, session, kind, person, at_ms, **amounts):
        if person is None:
            return
        key = (person, at_ms // MS_PER_DAY)
        day = self._get(session, kind, key)
        if day is None:
            day = self._kept[kind, key] = kind()
            names = kind.__mapper__.column_attrs.keys()
            for name in names:
                setattr(day, name, 0)
            setattr(day, names[0], key[0])
            day.day = key[1]
            session.add(day)
        for name, amount in amounts.items():
            setattr(day, name, getattr(day, name) + amount)

    def _order_submitted(self, session, event, order, _driver, at_ms):
        order.customer_id = None if event["customer_id"] == NO_VALUE else event["customer_id"]
        order.submitted_at_ms, order.wanted_at_ms = at_ms, at_ms + max(event["wanted_after_ms"], 0)
        order.pickup_lon_e6, order.pickup_lat_e6 = event["lon_e6"], event["lat_e6"]
        for name in ("tier", "is_first", "passengers", "vehicle_class"):
            setattr(order, name, event[name])
        self._add(session, CustomerDay, order.customer_id, at_ms, submitted=1)

    def _order_offered(self, session, event, order, driver, at_ms):
        order.num_offers += 1
        order.first_offered_at_ms = order.first_offered_at_ms or at_ms
        offer = Offer()
        offer.order_id, offer.driver_id, offer.offered_at_ms = order.order_id, driver, at_ms
        offer.eta_ms = event["eta_ms"]
        order.live_offer = offer
        session.add(offer)
        self._add(session, DriverDay, driver, at_ms, offered=1)

    def _answered(self, session, event, order, driver, at_ms, name):
        live = getattr(order, "live_offer", None)
        if live is None or live.driver_id != driver:
            live = (
                session.query(Offer)
                .filter_by(order_id=order.order_id, driver_id=driver, outcome=None)
                .one_or_none()
            )
        if live is not None:
            live.outcome, live.answered_at_ms = event["kind"], at_ms
        self._add(session, DriverDay, driver, at_ms, **{name: 1})

    def _offer_accepted(self, session, event, order, driver, at_ms):
        self._answered(session, event, order, driver, at_ms, "accepted")

    def _offer_declined(self, session, event, order, driver, at_ms):
        self._answered(session, event, order, driver, at_ms, "declined")

    def _offer_expired(self, session, event, order, driver, at_ms):
        self._answered(session, event, order, driver, at_ms, "offer_expired")

    def _order_assigned(self, session, event, order, driver, at_ms):
        if order.accepted_at_ms is None and order.wanted_at_ms is not None:
            waited_ms = max(at_ms - order.wanted_at_ms, 0)
            self._add(session, CustomerDay, order.customer_id, at_ms, unanswered_ms=waited_ms)
        order.driver_id, order.accepted_at_ms, order.quoted_eta_ms = driver, at_ms, event["eta_ms"]

    _order_reassigned = _order_assigned

    def _order_unassigned(self, session, _event, order, driver, at_ms):
        order.driver_id = None
        self._add(session, DriverDay, driver, at_ms, unassigned=1)

    def _driver_arrived(self, session, event, order, driver, at_ms):
        order.arrived_at_ms, order.pickup_m = at_ms, event["leg_m"]
        late_ms = max(at_ms - order.accepted_at_ms - order.quoted_eta_ms, 0)
        late = int(late_ms > LATE_AFTER_MS)
        self._add(
            session,
            DriverDay,
            driver,
            at_ms,
            arrived=1,
            late=late,
            late_ms=late_ms,
            empty_m=max(event["leg_m"], 0),
        )
        self._add(session, CustomerDay, order.customer_id, at_ms, late=late)

    def _picked_up(self, session, _event, order, _driver, at_ms):
        order.picked_up_at_ms = at_ms
        waited_ms = max(at_ms - order.wanted_at_ms, 0)
        self._add(session, CustomerDay, order.customer_id, at_ms, picked_up=1, wait_ms=waited_ms)

    def _dropped_off(self, session, event, order, driver, at_ms):
        order.dropped_off_at_ms, order.trip_m, order.fare_cents = at_ms, event["leg_m"], event["fare_cents"]
        order.dropoff_lon_e6, order.dropoff_lat_e6 = event["lon_e6"], event["lat_e6"]
        trip = Trip()
        trip.order_id, trip.customer_id, trip.driver_id = order.order_id, order.customer_id, driver
        trip.picked_up_at_ms, trip.dropped_off_at_ms = order.picked_up_at_ms, at_ms
        trip.trip_m, trip.fare_cents = event["leg_m"], event["fare_cents"]
        session.add(trip)
        sums = {"completed": 1, "trip_m": event["leg_m"]}
        fare = event["fare_cents"]
        self._add(session, CustomerDay, order.customer_id, at_ms, spend_cents=fare, **sums)
        occupied_ms = at_ms - order.picked_up_at_ms
        self._add(session, DriverDay, driver, at_ms, income_cents=fare, occupied_ms=occupied_ms, **sums)

    def _order_closed(self, _session, _event, order, _driver, at_ms):
        order.ended_at_ms = at_ms

    def _order_cancelled(self, session, _event, order, _driver, at_ms):
        order.ended_at_ms = at_ms
        late = int(order.driver_id is not None)
        gave_up = int(order.accepted_at_ms is None)
        self._add(
            session,
            CustomerDay,
            order.customer_id,
            at_ms,
            cancelled=1,
            cancelled_late=late,
            gave_up=gave_up,
            unanswered_ms=gave_up * max(at_ms - order.wanted_at_ms, 0),
        )

    def _order_expired(self, session, _event, order, _driver, at_ms):
        order.ended_at_ms = at_ms
        waited_ms = max(at_ms - order.wanted_at_ms, 0) if order.accepted_at_ms is None else 0
        self._add(session, CustomerDay, order.customer_id, at_ms, expired=1, unanswered_ms=waited_ms)
