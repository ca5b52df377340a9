"""Keys of requests: one answer a key, of one company, for two days."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.made_people import details, dump
from dispatch.crm.people.idempotency import answered_in, check_key, forget_in, keep_answer_in, kept_name
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


@pytest.mark.parametrize(
    "key",
    ["gift:+14155552671", "+1 (415) 555-2671/x", "ann@mail.example", "gift:＋１４１５５５５２６７１", "a＠b"],
)
def test_keys_that_would_outlast_an_erasure_are_refused(crm, scope_id, key):
    with pytest.raises(InputError, match="key holds a telephone number or an address of mail") as caught:
        check_key("key", key)
    assert "2671" not in str(caught.value)
    known = crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=MONDAY_MS)
    before = dump(crm)
    with pytest.raises(InputError, match="key holds"):
        crm.points.grant(known, 5, key=key, reason="gift", at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="key holds"):
        crm.customers.register(
            details(custom=None, phone="+14155550100", member_no="M-2"),
            scope_id=scope_id,
            at_ms=MONDAY_MS,
            key=key,
        )
    assert dump(crm) == before


def test_names_that_others_give_are_kept_as_hashes_where_they_are_personal(crm):
    for name in ("<17.ann@mail.example>", "call-+14155552671-9"):
        kept = kept_name(crm.context, "feedback.key", name)
        assert kept == kept_name(crm.context, "feedback.key", name)
        assert kept != kept_name(crm.context, "other.key", name)
        assert not any(part in kept for part in ("ann", "@", "+", "2671"))
        assert len(kept) == 65
    assert kept_name(crm.context, "feedback.key", "form-17") == "form-17"


def test_keys_of_digits_are_those_of_orders():
    for key in ("order-20231120000017", "2023-11-20T00:00:00+00:00", "a+b", "points+250", "c1+123456"):
        check_key("key", key)
