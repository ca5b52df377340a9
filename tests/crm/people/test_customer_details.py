"""What is told of customers has one form, one by one as many at once."""

import pytest
from hypothesis import given, strategies as st

from crm.made_people import EMAIL, NAME, PHONE, VERTICAL, details
from dispatch.crm.people.customer_details import CustomerDetails, check_text, normal_columns, normal_email
from dispatch.errors import InputError

RULES = VERTICAL.custom_fields


def test_one_form():
    told = details(name=f"  {NAME} ", email=" Zoe.Q@Mail.example ", phone="(415) 555-2671").columns(
        RULES, "US"
    )
    assert (told["name"], told["email"], told["phone"]) == (NAME, EMAIL, PHONE)
    assert told["custom"] == '{"seats":2,"vip":true,"wish":"no perfume, please"}'
    assert CustomerDetails().columns(RULES, "") == {}
    assert CustomerDetails(name="A", custom={}).told == ("name", "custom")
    assert check_text("Zoe\u0308", "name") == "Zo\u00eb"  # two ways to write one letter


@given(
    st.lists(
        st.builds(
            CustomerDetails,
            name=st.sampled_from(["A", " B ", "", "x" * 300]),
            phone=st.sampled_from([None, "4155552671", "+442079460958", "12"]),
            email=st.sampled_from([None, "a@b.example", "A@B.example", "nothing"]),
            birthday_mmdd=st.sampled_from([None, 101, 1231, 229, 431, 0, True]),
            language=st.sampled_from([None, "en", "zh-CN", "e n"]),
            member_no=st.sampled_from([None, "M-1", "-"]),
            custom=st.sampled_from([None, {}, {"seats": 3}, {"seats": "3"}, {"hat": 1}]),
        ),
        max_size=4,
    )
)
def test_many_are_read_as_one_by_one(rows):
    names = ("name", "phone", "email", "birthday_mmdd", "language", "member_no", "custom")
    try:
        singly = [row.columns(RULES, "US") for row in rows]
    except InputError:
        singly = None
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    if singly is None:
        with pytest.raises(InputError):
            normal_columns(columns, RULES, "US")
        return
    together = normal_columns(columns, RULES, "US")
    assert together == {name: [row.get(name) for row in singly] for name in names}


def test_rows_are_named():
    with pytest.raises(InputError, match="row 2: birthday_mmdd"):
        normal_columns({"birthday_mmdd": [101, None, 1301, 1301]}, RULES, "")
    with pytest.raises(InputError, match="row 1: language"):
        normal_columns({"language": ["en", ["en"]]}, RULES, "")
    with pytest.raises(InputError, match="row 0: birthday_mmdd is no day"):
        normal_columns({"birthday_mmdd": [True]}, RULES, "")
    with pytest.raises(InputError, match="row 1: custom has the field"):
        normal_columns({"custom": [None, {"hat": 1}]}, RULES, "")


@pytest.mark.parametrize(
    "value", ["", "a", "a@b", "a@@b.example", "a b@c.example", "a@" + "b" * 260 + ".example", 7]
)
def test_what_is_no_address_of_mail(value):
    with pytest.raises(InputError, match="email") as caught:
        normal_email(value)
    assert len(str(value)) < 4 or str(value) not in str(caught.value)
