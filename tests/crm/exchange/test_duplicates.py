"""Duplicates: found as a plain search over all earlier rows finds them."""

from hypothesis import given, settings, strategies as st

from dispatch.crm.exchange.duplicates import NOBODY, Duplicate, Keys, Seen

KEYS = ("member_no", "phone", "email")
APART = ("member_no", "phone")
STORED = {"member_no": {"m0": 100}, "phone": {"p0": 100, "p1": 101}, "email": {"e1": 101}}


def known(key, values):
    return {value: STORED[key][value] for value in values if value in STORED[key]}


def has(persons):
    return {person: tuple(key for key in KEYS if person in STORED[key].values()) for person in persons}


def naive(rows, sure=""):
    """Who each row is about, and what it contradicts, by a search over all earlier rows."""
    owner, told = {}, []
    has_of = {("stored", person): set(some) for person, some in has((100, 101)).items()}
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
        same = [key for key in KEYS if row[key] is not None and whose(owner, key, row[key]) is not None]
        other = [
            key for key in APART if row[key] is not None and key not in same and key in has_of.get(mine, ())
        ]
        if sure and row[sure] is not None and whose(owner, sure, row[sure]) == mine:
            other = []
        if len(about) < 2 and not other:
            for key in KEYS:
                if row[key] is not None:
                    owner.setdefault((key, row[key]), mine)
                    has_of.setdefault(mine, set()).add(key)
        told.append((about, tuple(other)))
    return told


def whose(owner, key, value):
    stored = STORED[key].get(value)
    return owner.get((key, value)) or (None if stored is None else ("stored", stored))


def value_of(letter):
    return st.none() | st.integers(0, 4).map(lambda number: f"{letter}{number}")


@given(
    st.lists(st.fixed_dictionaries({key: value_of(key[0]) for key in KEYS}), max_size=12),
    st.integers(1, 5),
    st.sampled_from(["", *APART]),
)
@settings(max_examples=300)
def test_duplicates_are_those_of_a_plain_search(rows, at_once, sure):
    seen, found = Seen(Keys(KEYS, APART, sure), known, has), []
    for first in range(0, len(rows), at_once):
        part = rows[first : first + at_once]
        columns = {key: [row[key] for row in part] for key in KEYS}
        found += seen.look([1 + first + place for place in range(len(part))], columns)
    for one, (about, against) in zip(found, naive(rows, sure), strict=True):
        if not about:
            assert one is None
            continue
        where, number = about[0]
        assert (one.of_row, one.person_id) == ((number + 1, None) if where == "row" else (None, number))
        assert bool(one.also) == (len(about) > 1)
        assert one.against == against
        assert one.is_unclear == (len(about) > 1 or bool(against))


def test_persons_are_known_once_they_are_entered():
    seen = Seen(Keys(KEYS))
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


def test_who_shares_no_more_than_an_address_of_mail_is_not_the_same():
    seen = Seen(Keys(KEYS, APART))
    first = {"member_no": "A-1", "phone": "p1", "email": "e1"}
    rows = [
        first,
        first | {"member_no": "A-7", "phone": "p7"},  # another one of the family
        first | {"phone": "p8"},
        first | {"member_no": None, "phone": None},
        first | {"member_no": None, "email": "e9"},
    ]
    columns = {key: [row[key] for row in rows] for key in KEYS}
    assert seen.look([1, 2, 3, 4, 5], columns) == [
        None,
        Duplicate(2, "email", 1, None, against=("member_no", "phone")),
        Duplicate(3, "member_no", 1, None, against=("phone",)),
        Duplicate(4, "email", 1, None),
        Duplicate(5, "phone", 1, None),
    ]
    # What an unclear row tells is nobody's.
    assert seen.look([6], {"phone": ["p7"]}) == [None]
