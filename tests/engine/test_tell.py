"""Many events in one call: the same as the commands one by one, or nothing at all."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, assert_same_tables, dispatcher_on, grid_city, new_orders, places, positions, tables_of
from dispatch.engine.events import EVENT_DTYPE, EventKind as K, make_events
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.lifecycle import DriverStatus as D, OrderStatus as S
from dispatch.engine.tell import TOLD
from dispatch.errors import InputError, StateError
from dispatch.units import NO_INDEX
from engine.stages import CITY as LINE, NOW, Stages

CITY = grid_city(5, 5, seed=2)
NUM_NODES = CITY.graph.num_nodes
DRIVERS = list(range(6))
NEXT = {
    S.OPEN: ["cancel"],
    S.OFFERED: ["accept", "accept", "accept", "decline", "cancel"],
    S.ASSIGNED: ["arrive", "arrive", "arrive", "unassign", "cancel"],
    S.ARRIVED: ["pick_up", "pick_up", "unassign", "cancel"],
    S.ON_BOARD: ["drop_off"],
    S.DROPPED_OFF: ["close"],
}
KINDS = {
    "accept": K.OFFER_ACCEPTED,
    "decline": K.OFFER_DECLINED,
    "unassign": K.ORDER_UNASSIGNED,
    "arrive": K.DRIVER_ARRIVED,
    "pick_up": K.PICKED_UP,
    "drop_off": K.DROPPED_OFF,
    "close": K.ORDER_CLOSED,
    "cancel": K.ORDER_CANCELLED,
}


class Twins:
    """A dispatcher told by single commands, and another one told the same by `apply`, in batches."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.by_node = bool(self.random.integers(0, 2))
        policy = str(self.random.choice(["batch", "lookahead", "patient_lookahead"]))
        self.one, self.other = (
            dispatcher_on(CITY, policy=policy, offer_timeout_s=40.0, max_wait_s=200.0) for _ in range(2)
        )
        self.now, self.driver_of, self.told, self.nodes = T0, {}, [], []
        for each in (self.one, self.other):
            each.register_drivers(NewDrivers(DRIVERS, [0, 0, 1, 1, 2, 0], 4))
        self.num_orders = 0

    def note(self, kind, node=NO_INDEX, **columns):
        event = make_events(kind, 1, at_ms=self.now, **columns)
        if node != NO_INDEX and not self.by_node:
            lon, lat = places(CITY, node)
            event["lon_e6"], event["lat_e6"] = np.rint(lon * 1e6), np.rint(lat * 1e6)
        self.told.append(event)
        self.nodes.append(node)

    def on_duty(self, driver):
        """Take a driver on or off duty."""
        status = self.one.driver_status([driver])[0]
        if status == D.OFFLINE:
            node = int(self.random.integers(0, NUM_NODES))
            self.one.drivers_online(positions(CITY, [driver], [node], self.now))
            self.note(K.DRIVER_ONLINE, node, driver_id=driver)
        elif status == D.IDLE:
            self.one.drivers_offline([driver], self.now)
            self.note(K.DRIVER_OFFLINE, driver_id=driver)

    def on_order(self, order):
        """Give a command that an order's status allows."""
        status = self.one.order_status([order])[0]
        if status not in NEXT:
            return
        command = str(self.random.choice(NEXT[status]))
        driver, leg_m = self.driver_of.get(order, 0), int(self.random.integers(0, 5000))
        more = {"accept": ([driver], self.now), "decline": ([driver], self.now)}
        more |= dict.fromkeys(("arrive", "drop_off"), (self.now, [leg_m]))
        try:
            getattr(self.one, command)([order], *more.get(command, (self.now,)))
        except StateError:
            return  # the offer's time is up, or the driver has a passenger on board
        columns = {"order_id": order}
        if command in ("accept", "decline") or (command not in ("cancel", "close") and leg_m % 2):
            columns["driver_id"] = driver
        if command in ("arrive", "drop_off"):
            columns["leg_m"] = leg_m
        self.note(KINDS[command], **columns)

    def some_commands(self):
        for _ in range(self.random.integers(0, 12)):
            self.now += int(self.random.choice([0, 0, 1, 900, 15_000]))
            if self.num_orders and self.random.random() < 0.8:
                self.on_order(int(self.random.integers(0, self.num_orders)))
            else:
                self.on_duty(int(self.random.choice(DRIVERS)))

    def arguments(self, begin, end):
        events = np.concatenate([np.empty(0, EVENT_DTYPE), *self.told[begin:end]])
        return (events, np.array(self.nodes[begin:end], np.int32)) if self.by_node else (events,)

    def tell(self):
        """Tell the other what was noted, in batches."""
        begin = 0
        while begin < len(self.told):
            end = begin + int(self.random.integers(1, len(self.told) + 1))
            self.other.apply(*self.arguments(begin, end))
            begin = end
        self.told, self.nodes = [], []
        assert_same_tables(tables_of(self.one), tables_of(self.other))

    def tell_something_wrong(self):
        """Tell the other what was noted with a row among it that cannot be."""
        before, kept = tables_of(self.other), (list(self.told), list(self.nodes))
        at = int(self.random.integers(0, len(self.told) + 1))
        wrong = str(self.random.choice(["order", "driver", "early", "offered"]))
        columns = {
            "order": {"kind": K.ORDER_CANCELLED, "order_id": 999},
            "driver": {"kind": K.DRIVER_OFFLINE, "driver_id": 999},
            "early": {"kind": K.CRUISING_LEG, "driver_id": 0, "leg_m": 5, "node": 0, "at_ms": T0 - 9},
            "offered": {"kind": K.ORDER_OFFERED, "order_id": 0, "driver_id": 0},
        }[wrong]
        self.note(**{name: value for name, value in columns.items() if name != "at_ms"})
        self.told.insert(at, self.told.pop())
        self.nodes.insert(at, self.nodes.pop())
        self.told[at]["at_ms"] = columns.get("at_ms", self.now)
        with pytest.raises((InputError, StateError), match=rf"^row {at}, .*; nothing was applied$"):
            self.other.apply(*self.arguments(0, len(self.told)))
        assert_same_tables(before, tables_of(self.other))
        self.told, self.nodes = kept

    def submit_and_step(self):
        num_new = int(self.random.integers(0, 4))
        ids, ends = range(self.num_orders, self.num_orders + num_new), None
        ends = self.random.integers(0, NUM_NODES, (2, num_new))
        self.now += int(self.random.choice([0, 1000, 30_000, 45_000]))
        logs = []
        for each in (self.one, self.other):
            if num_new:
                each.submit(new_orders(CITY, list(ids), *ends, self.now))
            each.update_positions(positions(CITY, DRIVERS, self.fresh_places(), self.now))
            logs.append(each.step(self.now))
        assert logs[0].tobytes() == logs[1].tobytes()
        self.num_orders += num_new
        offered = logs[0][logs[0]["kind"] == K.ORDER_OFFERED]
        self.driver_of |= dict(zip(offered["order_id"].tolist(), offered["driver_id"].tolist(), strict=True))

    def fresh_places(self):
        """Where drivers say they are at this instant: anywhere, the same for both."""
        return np.random.default_rng(self.now % 2**32).integers(0, NUM_NODES, len(DRIVERS))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_events_in_batches_are_the_same_as_commands_one_by_one(seed):
    twins = Twins(seed)
    for driver in DRIVERS[:4]:
        twins.on_duty(driver)
    twins.tell()
    for _ in range(8):
        twins.submit_and_step()
        twins.some_commands()
        if twins.random.random() < 0.5:
            twins.tell_something_wrong()
        twins.tell()


def test_in_these_histories_nearly_everything_is_told():
    kinds = set()
    for seed in range(12):
        twins = Twins(seed)
        for _ in range(10):
            twins.some_commands()
            kinds |= {int(event["kind"][0]) for event in twins.told}
            twins.tell()
            twins.submit_and_step()
    assert kinds == set(TOLD) - {K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG}


# --- what is wrong is named ------------------------------------------------------------------------

STAGES = Stages()
OFFERED, ASSIGNED = STAGES.orders[S.OFFERED][0], STAGES.orders[S.ASSIGNED][0]
HAS_OFFER, ON_THE_WAY = (STAGES.driver_of_order[one] for one in (OFFERED, ASSIGNED))
IDLE, OFF = STAGES.drivers[D.IDLE][0], STAGES.drivers[D.OFFLINE][0]
WRONG = {
    "unknown order": (
        {"kind": K.PICKED_UP, "order_id": 9999},
        "PICKED_UP: order_id is 9999: no such order is known",
    ),
    "no order": ({"kind": K.ORDER_CANCELLED}, "ORDER_CANCELLED: order_id is -1: no such order is known"),
    "unknown driver": (
        {"kind": K.OFFER_ACCEPTED, "order_id": OFFERED, "driver_id": 9999},
        "OFFER_ACCEPTED: driver_id is 9999: no such driver is known",
    ),
    "no driver": (
        {"kind": K.OFFER_DECLINED, "order_id": OFFERED},
        "OFFER_DECLINED: driver_id is -1: no such driver is known",
    ),
    "new driver": (
        {"kind": K.DRIVER_ONLINE, "driver_id": 9999, "node": 3},
        "DRIVER_ONLINE: driver_id is 9999: no such driver is known",
    ),
    "another's offer": (
        {"kind": K.OFFER_ACCEPTED, "order_id": OFFERED, "driver_id": IDLE},
        f"OFFER_ACCEPTED: there is no live offer of order {OFFERED} to driver {IDLE}",
    ),
    "dead offer": (
        {"kind": K.OFFER_ACCEPTED, "order_id": OFFERED, "driver_id": HAS_OFFER, "at_ms": T0 + 600_000},
        f"OFFER_ACCEPTED: there is no live offer of order {OFFERED} to driver {HAS_OFFER}",
    ),
    "another's order": (
        {"kind": K.DRIVER_ARRIVED, "order_id": ASSIGNED, "driver_id": IDLE, "leg_m": 5},
        f"DRIVER_ARRIVED: order {ASSIGNED} is not with driver {IDLE}",
    ),
    "wrong status": (
        {"kind": K.PICKED_UP, "order_id": ASSIGNED},
        f"PICKED_UP: it is not legal while order {ASSIGNED} is ASSIGNED",
    ),
    "busy driver": (
        {"kind": K.DRIVER_OFFLINE, "driver_id": ON_THE_WAY},
        f"DRIVER_OFFLINE: it is not legal while driver {ON_THE_WAY} is TO_PICKUP",
    ),
    "on duty already": (
        {"kind": K.DRIVER_ONLINE, "driver_id": IDLE, "node": 3},
        f"DRIVER_ONLINE: it is not legal while driver {IDLE} is IDLE",
    ),
    "early": (
        {"kind": K.ORDER_CANCELLED, "order_id": ASSIGNED, "at_ms": T0 - 1},
        f"ORDER_CANCELLED: at_ms is {T0 - 1}: time goes backwards",
    ),
    "no place": (
        {"kind": K.DRIVER_ONLINE, "driver_id": OFF},
        "DRIVER_ONLINE: it needs a place on the network",
    ),
    "leg without place": (
        {"kind": K.ABANDONED_LEG, "driver_id": IDLE, "leg_m": 9},
        "ABANDONED_LEG: it needs a place on the network",
    ),
    "no metres": (
        {"kind": K.DRIVER_ARRIVED, "order_id": ASSIGNED},
        "DRIVER_ARRIVED: leg_m is -1: it must be",
    ),
    "leg without metres": (
        {"kind": K.CRUISING_LEG, "driver_id": IDLE, "node": 3},
        "CRUISING_LEG: leg_m is -1: it must be 0 or more",
    ),
    "the engine's own": (
        {"kind": K.ORDER_EXPIRED, "order_id": OFFERED},
        "ORDER_EXPIRED: it must be one of DRIVER_ONLINE, DRIVER_OFFLINE, OFFER_ACCEPTED",
    ),
    "no kind": ({"kind": 99}, "kind 99: it must be one of DRIVER_ONLINE"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_row_is_named_with_its_reason_and_nothing_is_applied(name):
    columns, message = WRONG[name]
    columns = {"at_ms": NOW} | columns
    node = columns.pop("node", NO_INDEX)
    fine = make_events(K.OFFER_DECLINED, 1, order_id=OFFERED, driver_id=HAS_OFFER, at_ms=NOW)
    if "offer" in name or "driver" in name or name == "early":
        fine = make_events(K.CRUISING_LEG, 1, driver_id=STAGES.drivers[D.IDLE][1], leg_m=5, at_ms=NOW)
    wrong = make_events(columns.pop("kind"), 1, **columns)
    events, nodes = np.concatenate([fine, wrong, fine]), np.array([3, node, 3], np.int32)
    before = tables_of(STAGES.dispatcher)
    with pytest.raises((InputError, StateError)) as raised:
        STAGES.dispatcher.apply(events, nodes)
    assert str(raised.value).startswith(f"row 1, {message}")
    assert str(raised.value).endswith("; nothing was applied")
    assert_same_tables(before, tables_of(STAGES.dispatcher))


def test_a_second_event_of_a_party_counts_from_the_first_one():
    events = make_events(K.ORDER_CANCELLED, 2, order_id=ASSIGNED, at_ms=NOW)
    with pytest.raises(StateError, match="row 1, ORDER_CANCELLED: it is not legal after the rows before it"):
        STAGES.dispatcher.apply(events)


@pytest.mark.parametrize(
    ("events", "node", "message"),
    [
        (np.zeros(3), None, "events must be a one-dimensional array of EVENT_DTYPE"),
        (np.zeros((2, 2), EVENT_DTYPE), None, "events must be a one-dimensional array of EVENT_DTYPE"),
        ([1], None, "events must be a one-dimensional array of EVENT_DTYPE"),
        (
            make_events(K.ORDER_CANCELLED, 1, at_ms=2**60, order_id=ASSIGNED),
            None,
            r"row 0, .*: at_ms is .*: it must be m",
        ),
        (make_events(K.CRUISING_LEG, 1, at_ms=NOW), np.array([1, 2]), "node has 2 rows for 1 events"),
        (
            make_events(K.CRUISING_LEG, 1, at_ms=NOW, driver_id=IDLE, leg_m=4),
            np.array([20]),
            "row 0, CRUISING_LEG: its node is none of the network's; nothing was applied",
        ),
        (
            make_events(K.CRUISING_LEG, 1, at_ms=NOW, driver_id=IDLE, leg_m=4, lon_e6=0, lat_e6=0),
            None,
            r"lon\[0\], lat\[0\] is 0.000000, 0.000000: no node of Testville",
        ),
    ],
)
def test_what_is_no_list_of_events_is_refused(events, node, message):
    before = tables_of(STAGES.dispatcher)
    with pytest.raises(InputError, match=message):
        STAGES.dispatcher.apply(events, node)
    assert_same_tables(before, tables_of(STAGES.dispatcher))


def test_events_in_any_memory_are_read():
    dispatcher = dispatcher_on(LINE)
    dispatcher.register_drivers(NewDrivers([1, 2, 3]))
    events = make_events(K.DRIVER_ONLINE, 6, at_ms=T0, driver_id=[1, 9, 2, 9, 3, 9])[::2]
    nodes = np.array([4, 0, 5, 0, 6, 0], np.int32)[::2]
    events.flags.writeable = False
    dispatcher.apply(events, nodes)
    dispatcher.apply(make_events(K.DRIVER_ONLINE, 0))
    assert dispatcher.driver_status([1, 2, 3]) == [D.IDLE] * 3
    assert dispatcher._state.fleet.node[:3].tolist() == [4, 5, 6]


def test_legs_are_logged_with_their_metres_and_move_the_driver():
    dispatcher = dispatcher_on(LINE)
    dispatcher.register_drivers(NewDrivers([1], [2]))
    online = make_events(K.DRIVER_ONLINE, 1, at_ms=T0, driver_id=1)
    leg = make_events(K.REPOSITIONING_LEG, 1, at_ms=T0 + 50_000, driver_id=1, leg_m=500)
    dispatcher.apply(np.concatenate([online, leg]), np.array([2, 7], np.int32))
    dispatcher.submit(new_orders(LINE, [5], [7], [9], T0 + 50_000))
    events = dispatcher.step(T0 + 50_000)
    assert [K(kind) for kind in events["kind"]] == [
        K.DRIVER_ONLINE,
        K.REPOSITIONING_LEG,
        K.ORDER_SUBMITTED,
        K.CARS_SHOWN,
        K.ORDER_OFFERED,
    ]
    assert (events["leg_m"][1], events["vehicle_class"][0], events["eta_ms"][4]) == (500, 2, 0)
    assert events["lon_e6"][1] == round(float(places(LINE, 7)[0][0]) * 1e6)
