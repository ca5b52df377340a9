"""Duplicates: found as a plain search over all earlier rows finds them."""

from hypothesis import given, settings, strategies as st

from dispatch.crm.exchange.duplicates import NOBODY, Duplicate, Seen

KEYS = ("member_no", "phone", "email")
STORED = {"member_no": {"m0": 100}, "phone": {"p0": 100, "p1": 101}, "email": {"e1": 101}}


def known(key, values):
    return {value: STORED[key][value] for value in values if value in STORED[key]}


def naive(rows):
    """Who each row is about, by a search over all earlier rows; places and ids apart."""
    owner, told = {}, []
    for place, row in enumerate(rows):
        about = []
        for key in KEYS:
            value = row[key]
            if value is None:
                continue
            who = owner.get((key, value))
            if who is None and value in STORED[key]:
                who = ("stored", STORED[key][value])
            if who is not None and who not in about:
                about.append(who)
        mine = about[0] if about else ("row", place)
        if len(about) < 2:
            for key in KEYS:
                if row[key] is not None:
                    owner.setdefault((key, row[key]), mine)
        told.append(about)
    return told


def value_of(letter):
    return st.none() | st.integers(0, 4).map(lambda number: f"{letter}{number}")


@given(
    st.lists(st.fixed_dictionaries({key: value_of(key[0]) for key in KEYS}), max_size=12),
    st.integers(1, 5),
)
@settings(max_examples=150)
def test_duplicates_are_those_of_a_plain_search(rows, at_once):
    seen, found = Seen(KEYS, known), []
    for first in range(0, len(rows), at_once):
        part = rows[first : first + at_once]
        columns = {key: [row[key] for row in part] for key in KEYS}
        found += seen.look([1 + first + place for place in range(len(part))], columns)
    for one, about in zip(found, naive(rows), strict=True):
        if not about:
            assert one is None
            continue
        where, number = about[0]
        assert (one.of_row, one.person_id) == ((number + 1, None) if where == "row" else (None, number))
        assert bool(one.also) == (len(about) > 1)


def test_persons_are_known_once_they_are_entered():
    seen = Seen(KEYS, None)
    assert seen.look([1, 2, 4], {"phone": ["p0", None, "p0"], "email": ["e0", "e1", None]}) == [
        None,
        None,
        Duplicate(4, "phone", 1, None),
    ]
    assert seen.person_at(2) == NOBODY
    seen.enter([0, 1], [50, 51])
    assert [seen.person_at(place) for place in range(3)] == [50, 51, 50]
    # What a duplicate tells is the same person's from then on.
    assert seen.look([5, 6], {"phone": ["p0", None], "email": ["e2", "e2"]}) == [
        Duplicate(5, "phone", 1, None),
        Duplicate(6, "email", 1, None),
    ]
    assert seen.person_at(1) == 50
    (unclear,) = seen.look([7], {"phone": ["p0"], "email": ["e1"]})
    assert unclear == Duplicate(7, "phone", 1, None, also=("email",))
