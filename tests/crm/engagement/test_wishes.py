"""Days of wishes, against the calendar."""

from datetime import date, timedelta

from dispatch.crm.engagement.wishes import date_of, days_of_birthday, mmdds_of, years_since
from dispatch.units import MS_PER_DAY


def day_of(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


def test_each_birthday_is_kept_once_a_year():
    for year in (2023, 2024, 1999, 2000, 2100):
        begin, end = day_of(year, 1, 1), day_of(year, 12, 31)
        kept = [mmdd for day in range(begin, end + 1) for mmdd in mmdds_of(day)]
        assert sorted(kept) == sorted(
            {
                (date(2000, 1, 1) + timedelta(days=n)).month * 100
                + (date(2000, 1, 1) + timedelta(days=n)).day
                for n in range(366)
            }
        )
    assert mmdds_of(day_of(2023, 2, 28)) == (228, 229)
    assert mmdds_of(day_of(2024, 2, 28)) == (228,)
    assert mmdds_of(day_of(2024, 2, 29)) == (229,)
    assert mmdds_of(day_of(2100, 2, 28)) == (228, 229)
    assert date_of(day_of(2023, 11, 20)) == date(2023, 11, 20)


def test_birthdays_between_two_days():
    assert days_of_birthday(day_of(2023, 12, 31), day_of(2024, 1, 1)) == {
        1231: day_of(2023, 12, 31),
        101: day_of(2024, 1, 1),
    }
    assert len(days_of_birthday(0, day_of(2023, 6, 1))) == 366
    assert days_of_birthday(9, 8) == {}


def test_years_are_the_calendar_s():
    begun = day_of(2020, 2, 29) * MS_PER_DAY + 5
    assert years_since(begun, day_of(2021, 2, 27)) == 0
    assert years_since(begun, day_of(2021, 2, 28)) == 1
    assert years_since(begun, day_of(2024, 2, 28)) == 3
    assert years_since(begun, day_of(2024, 2, 29)) == 4
    assert years_since(day_of(2020, 12, 31) * MS_PER_DAY, day_of(2023, 1, 2)) == 2
