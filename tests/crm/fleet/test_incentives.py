"""The ledger of drivers' rewards and penalties."""

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from dispatch.crm.tables.fleet import incentive
from dispatch.errors import AuthError, InputError, StateError


def test_entries_add_up_and_a_key_counts_once(crm, scope_id):
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS)
    boss = crm.acting_as(actor("manager"))

    def add(kind, cents, key, driver_id=1):
        return boss.incentives.add(driver_id, kind, cents, reason="peak", key=key, at_ms=MONDAY_MS)

    first = add("reward", 1000, "a")
    add("penalty", 300, "b")
    add("adjustment", -50, "c 1/2")
    assert add("reward", 1000, "a") == first
    assert add("reward", 70, "a", driver_id=2) != first, "another driver's key is another key"
    assert crm.incentives.balance(1) == 650
    told = crm.incentives.entries(1)
    assert [(one.kind, one.cents, one.made_by) for one in told] == [
        ("reward", 1000, "staff-1"),
        ("penalty", -300, "staff-1"),
        ("adjustment", -50, "staff-1"),
    ]
    with pytest.raises(StateError, match="is that of a reward"):
        add("reward", 1001, "a")
    for kind, cents in (("reward", -5), ("reward", 0), ("penalty", -5), ("adjustment", 0), ("gift", 5)):
        with pytest.raises(InputError):
            add(kind, cents, "bad")
    for key in ("", "x" * 256, "a\nb", 5):
        with pytest.raises(InputError, match="key"):
            add("reward", 5, key)
    herself = crm.acting_as(actor("driver", own=("driver", 1)))
    assert herself.incentives.balance(1) == 650
    for call in (
        lambda: herself.incentives.balance(2),
        lambda: herself.incentives.add(1, "reward", 5, reason="x", key="y", at_ms=MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            call()
    assert crm.incentives.balance(1) == sum(one.cents for one in crm.incentives.entries(1))


def test_the_table_itself_refuses_wrong_signs(crm, scope_id):
    for kind, cents in (("reward", -1), ("penalty", 1), ("adjustment", 0)):
        told = {"driver_id": 1, "kind": kind, "cents": cents, "reason": "x", "key": "k", "made_by": "x"}
        with pytest.raises(sa.exc.IntegrityError), crm.context.database.writing() as connection:
            connection.execute(sa.insert(incentive).values(at_ms=0, **told))
