"""Telephone numbers: the quick way tells what the library tells."""

import random

import phonenumbers
import pytest

from dispatch.crm.people.phones import Phones, masked, normal_phone
from dispatch.errors import InputError

REGIONS = (
    "US",
    "CA",
    "GB",
    "DE",
    "FR",
    "IT",
    "CN",
    "IN",
    "BR",
    "MX",
    "AR",
    "RU",
    "KZ",
    "JP",
    "AU",
    "SM",
    "JM",
)


def random_text(random_, region):
    """A number near a valid one, or any digits, as people write them."""
    example = phonenumbers.example_number_for_type(
        region, random_.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
    )
    styles = phonenumbers.PhoneNumberFormat
    style = random_.choice([styles.E164, styles.INTERNATIONAL, styles.NATIONAL, styles.RFC3966])
    letters = list(phonenumbers.format_number(example, style))
    for place, letter in enumerate(letters):
        if letter.isdigit() and random_.random() < 0.3:
            letters[place] = random_.choice("0123456789")
    if random_.random() < 0.1:
        letters.insert(random_.randrange(len(letters) + 1), random_.choice("0123456789 .-()+x/"))
    if random_.random() < 0.1:
        del letters[random_.randrange(len(letters))]
    if random_.random() < 0.1:
        return "".join(random_.choice("0123456789") for _ in range(random_.randrange(4, 15)))
    return "".join(letters)


def judged_by_the_library(text, region):
    """E.164 of a valid number without extension, None of all else; the library alone."""
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def judged_by_us(phones, text):
    try:
        return phones.e164_many([text])[0]
    except InputError:
        return None


def test_random_numbers_are_read_as_the_library_reads_them():
    random_ = random.Random(7)
    num_valid = num_quick = 0
    for home in (*REGIONS, ""):
        phones = Phones(home)
        for _ in range(350):
            text = random_text(random_, random_.choice(REGIONS) if random_.random() < 0.5 else home or "US")
            told = judged_by_the_library(text, home)
            assert judged_by_us(phones, text) == told, (home, text)
            num_valid += told is not None
            num_quick += phones._quick(text) is not None
    assert num_valid > 1500
    assert num_quick > 1000


def test_usual_ways_to_write_one_number():
    phones = Phones("US")
    usual = ("4155552671", "(415) 555-2671", "415.555.2671", "+1 415 555 2671", "1-415-555-2671")
    for text in (*usual, "tel:+14155552671"):
        assert phones.e164(text) == "+14155552671"
    assert phones.e164_many(["+442079460958", None]) == ["+442079460958", None]


@pytest.mark.parametrize(
    "text",
    ["", "hello", "12", "+999123456789", "+1 555 000 9999", "+1 415 555 2671 ext. 5", 4155552671, "4" * 300],
)
def test_what_is_no_number_is_told_without_repeating_it(text):
    with pytest.raises(InputError, match="phone is") as caught:
        Phones("US").e164(text, "phone")
    assert len(str(text)) < 6 or str(text) not in str(caught.value)
    assert "0009" not in str(caught.value)
    assert "2671 ext" not in str(caught.value)


def test_the_row_of_a_wrong_one_is_named():
    with pytest.raises(InputError, match=r"phone\[1\]"):
        Phones("US").e164_many(["4155552671", "+1 555 000 9999"])


def test_regions():
    with pytest.raises(InputError, match="region is 'XX'"):
        Phones("XX")
    with pytest.raises(InputError):
        Phones("").e164("4155552671")
    assert Phones("").e164("+14155552671") == "+14155552671"
    assert normal_phone("(415) 555-2671", "US") == "+14155552671"


def test_a_mask_shows_three_digits():
    assert masked("+14155552671") == "…671"
