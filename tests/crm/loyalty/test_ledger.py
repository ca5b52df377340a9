"""The ledger against a model in plain Python; its sums under any interleaving, also of several threads."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings, strategies as st

from crm.conftest import CITY, DAY_MS, HOUR_MS, MONDAY_MS, TENANT
from crm.engaged import add_customers, close_orders
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty import ledger
from dispatch.crm.loyalty.points import roll_back_orders_in
from dispatch.crm.rules import EarnRule
from dispatch.crm.tables.engagement import outbox
from dispatch.crm.tables.loyalty import points_account, points_entry, points_lot
from dispatch.crm.tables.people import customer
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError, StateError

LIVES_MS = 365 * DAY_MS
RIDE = Vertical.load("ride")
IDS = itertools.count(1)


# --- a model, written to be obvious --------------------------------------------------------------


@dataclass
class Model:
    """One customer's points: lots [entry, left, expiry], entries, and a debt."""

    lots: list[list[int]] = field(default_factory=list)
    entries: dict[int, tuple[str, int]] = field(default_factory=dict)
    uses: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    expired: dict[int, int] = field(default_factory=dict)
    debt: int = 0
    last_ms: int = 0

    def balance(self) -> int:
        return sum(left for _, left, _ in self.lots)

    def gain(self, entry: int, points: int, expires_ms: int) -> None:
        paid = min(points, self.debt)
        self.debt -= paid
        self.lots.append([entry, points - paid, expires_ms])

    def take(self, points: int, first: int = -1) -> list[tuple[int, int]]:
        used = []
        for lot in sorted(self.lots, key=lambda lot: (lot[0] != first, lot[2], lot[0])):
            part = min(points, lot[1])
            lot[1] -= part
            points -= part
            if part:
                used.append((part, lot[2], lot[0]))
        self.debt += points
        return [(part, expires) for part, expires, _ in sorted(used, key=lambda one: one[1:])]

    def expire(self, at_ms: int) -> None:
        for lot in self.lots:
            if lot[2] <= at_ms and lot[1]:
                self.expired[lot[0]] = self.expired.get(lot[0], 0) + lot[1]
                lot[1] = 0


def entries_of(crm: Crm, customer_id: int) -> list[sa.Row]:
    with crm.context.database.reading() as connection:
        found = sa.select(points_entry).where(points_entry.c.customer_id == customer_id)
        return connection.execute(found.order_by(points_entry.c.entry_id)).all()


def sums(crm: Crm, customer_id: int) -> tuple[int, int, int, int]:
    """Balance, debt, sum of entries, sum of lots; and whether they agree is for the caller to say."""
    with crm.context.database.reading() as connection:
        account = connection.execute(
            sa.select(points_account).where(points_account.c.customer_id == customer_id)
        ).one_or_none()
        entries, lots = (
            connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(
                    column.table.c.customer_id == customer_id
                )
            ).scalar_one()
            for column in (points_entry.c.points, points_lot.c.remaining)
        )
    return (account.balance, account.debt, entries, lots) if account else (0, 0, entries, lots)


def assert_sums_agree(crm: Crm, customer_id: int) -> tuple[int, int]:
    balance, debt, entries, lots = sums(crm, customer_id)
    assert balance - debt == entries
    assert balance == lots
    assert balance == 0 or debt == 0
    return balance, debt


class Watch:
    """Statements that would change or remove entries of the ledger."""

    def __init__(self, crm: Crm) -> None:
        self.seen: list[str] = []
        sa.event.listen(crm.context.database.engine, "before_cursor_execute", self._look)

    def _look(self, _connection, _cursor, statement, *_rest) -> None:
        words = statement.replace("\n", " ").split()
        if words[0] in ("UPDATE", "DELETE") and "points_entry" in words[1:3]:
            self.seen.append(statement)


@pytest.fixture(scope="module")
def shared_crms(tmp_path_factory, postgres_server, postgres_folder):
    """One CRM on each database, for all examples; each example brings customers of its own."""
    from postgres_server import fresh_database, prefix_of

    folder = tmp_path_factory.mktemp("ledger")
    with (
        fresh_database(postgres_server, prefix_of(postgres_folder)) as url,
        Crm.create(url, RIDE, keys=folder / "postgres.keys") as postgres,
        Crm.create(folder / "crm.db", RIDE) as sqlite,
    ):
        yield {"postgresql": postgres, "sqlite": sqlite}


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request, shared_crms) -> Crm:
    return shared_crms[request.param]


def new_customers(crm: Crm, num: int, **told) -> list[int]:
    ids = [next(IDS) for _ in range(num)]
    add_customers(crm, crm.scope(TENANT, CITY), ids, **told)
    return ids


def earn(crm: Crm, rows: list[tuple[int, int, int, int]], vertical: Vertical = RIDE) -> None:
    """Earn on trips: (customer, order, cents, instant)."""
    close_orders(Crm(replace(crm.context, vertical=vertical)), rows)


# --- any interleaving ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["earn", "grant", "redeem", "redeem", "roll_back", "roll_back", "expire", "wait"]),
        st.integers(1, 400),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@settings(max_examples=25)
@given(steps=STEPS)
def test_the_ledger_is_what_a_plain_model_says_under_any_interleaving(shared_crms, kind, steps):
    crm, watch = shared_crms[kind], None
    (customer_id,) = new_customers(crm, 1)
    model, at_ms, watch = Model(), MONDAY_MS + customer_id * 5 * LIVES_MS // 10_000, Watch(crm)
    for what, points, which in steps:
        at_ms += which * 40 * DAY_MS if what == "wait" else HOUR_MS
        replay(crm, model, customer_id, (what, points, which), at_ms)
        balance, debt = assert_sums_agree(crm, customer_id)
        assert (balance, debt) == (model.balance(), model.debt)
        told = crm.points.balance(customer_id, at_ms=at_ms)
        live = sum(left for _, left, expires_ms in model.lots if expires_ms > at_ms)
        assert (told.points, told.debt, told.cents) == (live, debt, live)
    assert watch.seen == []


def replay(crm: Crm, model: Model, customer_id: int, step: tuple[str, int, int], at_ms: int) -> None:
    """Do a step in the database and in the model."""
    what, points, which = step
    if what == "earn":
        earn(crm, [(customer_id, next(IDS), points * 100, at_ms)])
    elif what == "grant":
        crm.points.grant(customer_id, points, at_ms=at_ms, reason="goodwill", key=f"g{next(IDS)}")
    elif what == "redeem":
        replay_redeem(crm, model, customer_id, points, at_ms)
        return
    elif what == "roll_back":
        replay_roll_back(crm, model, customer_id, which, at_ms)
        return
    elif what == "expire":
        crm.points.expire(at_ms=at_ms)
        model.expire(at_ms)
        return
    else:
        return
    if what == "grant":
        model.expire(at_ms)
    last = entries_of(crm, customer_id)[-1]
    assert (last.kind, last.points, last.expires_at_ms) == (what, points, at_ms + LIVES_MS)
    model.entries[last.entry_id] = (what, points)
    model.gain(last.entry_id, points, at_ms + LIVES_MS)


def replay_redeem(crm: Crm, model: Model, customer_id: int, points: int, at_ms: int) -> None:
    live = sum(left for _, left, expires_ms in model.lots if expires_ms > at_ms)
    points = max(points, 100)
    if points > live:
        before = sums(crm, customer_id)
        with pytest.raises(StateError, match="points"):
            crm.points.redeem(customer_id, points, at_ms=at_ms, key=f"r{next(IDS)}")
        assert sums(crm, customer_id) == before
        return
    model.expire(at_ms)
    done = crm.points.redeem(customer_id, points, at_ms=at_ms, key=f"r{next(IDS)}")
    model.entries[done.entry_id] = ("redeem", -points)
    model.uses[done.entry_id] = model.take(points)


def replay_roll_back(crm: Crm, model: Model, customer_id: int, which: int, at_ms: int) -> None:
    if not model.entries:
        return
    entry_id = sorted(model.entries)[which % len(model.entries)]
    kind, points = model.entries.pop(entry_id)
    crm.points.roll_back(customer_id, entry_id, at_ms=at_ms, reason="cancelled")
    model.expire(at_ms)
    if kind == "redeem":
        back = [row.entry_id for row in entries_of(crm, customer_id) if row.source_entry_id == entry_id]
        for new_id, (part, expires_ms) in zip(back, model.uses[entry_id], strict=True):
            model.gain(new_id, part, expires_ms)
    else:
        model.take(points - model.expired.get(entry_id, 0), first=entry_id)
    with pytest.raises(StateError, match="before"):
        crm.points.roll_back(customer_id, entry_id, at_ms=at_ms, reason="cancelled")


def test_sums_agree_when_several_threads_write(shared):
    """Six threads on three customers; refusals are fine, sums that disagree are not."""
    ids = new_customers(shared, 3)
    orders = [next(IDS) for _ in range(400)]

    def work(seed: int) -> int:
        chooser, done = random.Random(seed), 0
        for turn in range(25):
            try:
                work_once(shared, ids, chooser, orders, (seed, turn))
                done += 1
            except (StateError, InputError):
                continue
        return done

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(work, range(6)))
    assert sum(done) > 60
    for one in ids:
        assert_sums_agree(shared, one)
    with shared.context.database.reading() as connection:
        twice = sa.select(points_entry.c.order_id).where(ledger.IS_EARNED)
        counted = twice.group_by(points_entry.c.order_id).having(sa.func.count() > 1)
        assert connection.execute(counted).all() == []


def work_once(crm: Crm, ids: list[int], chooser: random.Random, orders: list[int], name: tuple) -> None:
    who, what, at_ms = chooser.choice(ids), chooser.randrange(5), MONDAY_MS + 10 * LIVES_MS
    if what == 0:
        told = sorted(chooser.sample(orders, 4))
        earn(crm, [(ids[one % len(ids)], one, 30_000, at_ms) for one in told])
    elif what == 1:
        crm.points.redeem(who, 100, at_ms=at_ms, key=f"t{name}")
    elif what == 2:
        crm.points.expire(at_ms=at_ms + (chooser.random() < 0.1) * LIVES_MS)
    else:
        found = entries_of(crm, who)
        if found:
            entry = chooser.choice(found)
            crm.points.roll_back(who, entry.entry_id, at_ms=at_ms, reason="cancelled")


# --- trips in bulk -------------------------------------------------------------------------------


def test_trips_earn_once_by_tier_and_only_for_those_who_are_there(shared):
    basic, gold, gone, merged, into = new_customers(
        shared,
        5,
        tier=[None, "gold", None, None, "gold"],
        status=["active", "active", "erased", "merged", "active"],
    )
    with shared.context.database.writing() as connection:
        old = customer.c.customer_id == merged
        connection.execute(sa.update(customer).where(old).values(merged_into=into))
    orders = [next(IDS) for _ in range(6)]
    rows = [
        (who, order, cents, MONDAY_MS + i)
        for i, (who, order, cents) in enumerate(
            zip(
                [basic, gold, gone, merged, 10**15, basic],
                orders,
                [1999, 1999, 5000, 1000, 5000, 50],
                strict=True,
            )
        )
    ]
    earn(shared, rows)
    earn(shared, rows + rows[:1])
    told = {one: [row.points for row in entries_of(shared, one)] for one in (basic, gold, gone, merged, into)}
    assert told == {basic: [19], gold: [38], gone: [], merged: [], into: [20]}
    for one in (basic, gold, into):
        assert_sums_agree(shared, one)
    with shared.context.database.reading() as connection:
        about = sa.select(outbox.c.data).where(outbox.c.object_id.in_([basic, gold, into]))
        changes = connection.execute(about.order_by(outbox.c.object_id)).scalars().all()
    assert [one["points"] for one in changes] == [19, 38, 20]
    earn(shared, [(basic, orders[0] + 0, 99_900, MONDAY_MS)])
    assert len(entries_of(shared, basic)) == 1


def test_late_facts_keep_their_instant_and_pay_debts_first(shared):
    (one,) = new_customers(shared, 1)
    first, second, third = (next(IDS) for _ in range(3))
    earn(shared, [(one, first, 30_000, MONDAY_MS)])
    entry = entries_of(shared, one)[0]
    shared.points.redeem(one, 200, at_ms=MONDAY_MS + DAY_MS, key=f"r{one}")
    told = shared.points.roll_back(one, entry.entry_id, at_ms=MONDAY_MS + DAY_MS, reason="refunded")
    assert (told.points, told.debt) == (0, 200)
    earn(shared, [(one, second, 15_000, MONDAY_MS + HOUR_MS), (one, third, 15_000, MONDAY_MS + 2 * HOUR_MS)])
    assert assert_sums_agree(shared, one) == (100, 0)
    assert [row.at_ms for row in entries_of(shared, one)[-2:]] == [
        MONDAY_MS + HOUR_MS,
        MONDAY_MS + 2 * HOUR_MS,
    ]
    with pytest.raises(InputError, match="time goes backwards"):
        shared.points.grant(one, 5, at_ms=MONDAY_MS + DAY_MS - 1, reason="goodwill", key=f"late{one}")


def test_rewards_for_facts_are_granted_once_and_pay_debts(shared):
    owes, gone = new_customers(shared, 2, status=["active", "erased"])
    orders = [next(IDS) for _ in range(4)]
    earn(shared, [(owes, orders[0], 20_000, MONDAY_MS + DAY_MS)])
    shared.points.redeem(owes, 150, at_ms=MONDAY_MS + DAY_MS, key=f"r{owes}")
    first = entries_of(shared, owes)[0].entry_id
    shared.points.roll_back(owes, first, at_ms=MONDAY_MS + DAY_MS, reason="refunded")

    def reward(who: list[int], on: list[int]) -> None:
        with shared.context.database.writing() as connection:
            occasions = [(one, f"referral:{one}") for one in on]
            ledger.reward_in(connection, RIDE, who, occasions, 100, [MONDAY_MS] * len(who), "referral")

    reward([owes, owes, gone, 10**15], [orders[0], *orders[1:]])
    reward([gone], [orders[3]])
    assert [(row.kind, row.points, row.at_ms) for row in entries_of(shared, owes)[-2:]] == [
        ("grant", 100, MONDAY_MS)
    ] * 2
    assert assert_sums_agree(shared, owes) == (50, 0)
    assert sums(shared, gone) == (0, 0, 0, 0)
    with pytest.raises(sa.exc.IntegrityError):
        reward([owes], [orders[0]])
    assert assert_sums_agree(shared, owes) == (50, 0)


def test_orders_that_are_refunded_give_all_back_once(shared):
    (one,) = new_customers(shared, 1)
    first, second = next(IDS), next(IDS)
    earn(shared, [(one, first, 30_000, MONDAY_MS), (one, second, 20_000, MONDAY_MS)])
    shared.points.redeem(one, 120, at_ms=MONDAY_MS, key=f"r{one}", order_id=second)
    with shared.context.database.writing() as connection:
        told = [first, second]
        assert roll_back_orders_in(connection, shared.context, told, MONDAY_MS, "refunded") == 3
        assert roll_back_orders_in(connection, shared.context, told, MONDAY_MS, "refunded") == 0
    assert assert_sums_agree(shared, one) == (0, 0)


def test_merging_moves_lots_with_their_expiry_and_debts(shared):
    old, new, third = new_customers(shared, 3)
    earn(shared, [(old, next(IDS), 30_000, MONDAY_MS), (old, next(IDS), 20_000, MONDAY_MS + DAY_MS)])
    shared.points.grant(new, 50, at_ms=MONDAY_MS, reason="goodwill", key=f"m{new}")
    entry = entries_of(shared, old)[0]
    spent = shared.points.redeem(old, 100, at_ms=MONDAY_MS + DAY_MS, key=f"m{old}")
    with shared.context.database.writing() as connection:
        ledger.merge_in(connection, RIDE, old, new, MONDAY_MS + 2 * DAY_MS)
        moved = sa.update(customer).where(customer.c.customer_id == old)
        connection.execute(moved.values(status="merged", merged_into=new))
    assert assert_sums_agree(shared, old) == (0, 0)
    assert assert_sums_agree(shared, new) == (450, 0)
    told = shared.points.balance(new, at_ms=MONDAY_MS + 2 * DAY_MS)
    assert (told.next_expires_at_ms, told.next_expiring) == (MONDAY_MS + LIVES_MS, 250)
    # What was earned and spent before the merge is rolled back on the account that is left.
    shared.points.roll_back(old, spent.entry_id, at_ms=MONDAY_MS + 3 * DAY_MS, reason="cancelled")
    assert assert_sums_agree(shared, new) == (550, 0)
    shared.points.expire(at_ms=MONDAY_MS + LIVES_MS)
    left = sums(shared, new)[0]
    shared.points.roll_back(old, entry.entry_id, at_ms=MONDAY_MS + LIVES_MS, reason="refunded")
    # 200 of its 300 moved and expired there: they are not taken a second time.
    assert assert_sums_agree(shared, new) == (left - 100, 0)
    with shared.context.database.writing() as connection, pytest.raises(InputError, match="both"):
        ledger.merge_in(connection, RIDE, third, third, MONDAY_MS)


def test_a_debt_moves_as_well(shared):
    old, new = new_customers(shared, 2)
    earn(shared, [(old, next(IDS), 30_000, MONDAY_MS), (new, next(IDS), 5_000, MONDAY_MS)])
    entry = entries_of(shared, old)[0]
    shared.points.redeem(old, 300, at_ms=MONDAY_MS, key=f"d{old}")
    shared.points.roll_back(old, entry.entry_id, at_ms=MONDAY_MS, reason="refunded")
    with shared.context.database.writing() as connection:
        ledger.merge_in(connection, RIDE, old, new, MONDAY_MS)
    assert assert_sums_agree(shared, old) == (0, 0)
    assert assert_sums_agree(shared, new) == (0, 250)


def test_rules_add_up_by_tier_and_product():
    told = {"per_cents": 100, "points": 1}
    rules = (
        EarnRule("energy", **told),
        EarnRule("energy", **told, product="petrol_98"),
        EarnRule("energy", flat=7, tiers=("gold",)),
        EarnRule("activity", flat=20),
    )
    vertical = Vertical("fuel", ("filling",), tiers=RIDE.tiers, earn=rules)
    cents, tier = np.array([0, 199, 1000], np.int64), np.array([0, 0, 2], np.int64)
    assert ledger.points_for(vertical, ["energy"], cents, tier).tolist() == [0, 1, 17]
    assert ledger.points_for(vertical, ["energy"], cents, tier, "petrol_98").tolist() == [0, 2, 27]
    assert ledger.points_for(vertical, ["activity"], cents, tier, "survey").tolist() == [20, 20, 20]
    assert ledger.points_for(vertical, ["trip"], cents, tier).tolist() == [0, 0, 0]


def test_the_tables_refuse_what_no_ledger_holds(shared):
    (one,) = new_customers(shared, 1)
    for row in (
        {"customer_id": one, "balance": -1, "debt": 0},
        {"customer_id": one, "balance": 1, "debt": 1},
    ):
        with pytest.raises(sa.exc.IntegrityError), shared.context.database.writing() as connection:
            connection.execute(sa.insert(points_account).values(row))
    for kind, points in (("earn", -1), ("redeem", 1), ("gift", 1)):
        row = {"customer_id": one, "kind": kind, "points": points, "at_ms": 0}
        with pytest.raises(sa.exc.IntegrityError), shared.context.database.writing() as connection:
            connection.execute(sa.insert(points_entry).values(row))
