"""Keys of requests: one answer a key, of one company, for two days."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.made_people import dump
from dispatch.crm.people.idempotency import answered_in, check_key, forget_in, keep_answer_in
from dispatch.errors import InputError


def test_one_answer_a_key(crm):
    context = crm.context
    with context.database.writing() as connection:

        def ask(key, parameters, action="coupon.issue", of=context, at_ms=MONDAY_MS):
            return answered_in(connection, of, key, action, parameters, at_ms)

        assert ask(None, 1) is None
        assert ask("k", {"a": 1, "b": "Zoë"}) is None
        keep_answer_in(connection, context, "k", {"id": 7})
        keep_answer_in(connection, context, None, {"id": 8})
        assert ask("k", {"b": "Zoë", "a": 1}) == {"id": 7}
        for parameters, action in (
            ({"a": 1, "b": "Zoe"}, "coupon.issue"),
            ({"a": 1, "b": "Zoë"}, "coupon.take"),
        ):
            with pytest.raises(InputError, match="other parameters"):
                ask("k", parameters, action)
        # Companies whose name and key run together are told apart.
        assert ask("k", 1, of=context.of(actor("admin", tenant="a"))) is None
        keep_answer_in(connection, context.of(actor("admin", tenant="a")), "k", "a's")
        assert ask("b/k", 1, of=context.of(actor("admin", tenant="a"))) is None
        assert ask("k", 2, of=context.of(actor("admin", tenant="a/b"))) is None
        assert ask("k", 1, of=context.of(actor("agent", tenant="a"))) == "a's"
        # After two days it may be used anew.
        later = MONDAY_MS + 2 * DAY_MS
        assert ask("k", {"a": 1, "b": "Zoë"}, at_ms=later - 1) == {"id": 7}
        assert ask("k", "other", at_ms=later) is None
        assert forget_in(connection, later) == 3
        assert forget_in(connection, later) == 0
    assert "Zo" not in repr(dump(crm)["idempotency"])
    assert len(dump(crm)["idempotency"]) == 1


def test_keys():
    check_key("key", "k" * 255)
    for key in ("", "k" * 256, "a\nb", 7, None):
        with pytest.raises(InputError, match="key must be"):
            check_key("key", key)
