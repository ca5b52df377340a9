import pytest

from dispatch.analysis import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0.0 s"),
        (8.44, "8.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (222, "3 min 42 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (-75, "−1 min 15 s"),
    ],
)
def test_durations(value, text):
    assert formatting.format_duration(value) == text


def test_the_others():
    assert formatting.format_points(0.0123) == "+1.2 points"
    assert formatting.format_points(-0.5) == "−50.0 points"
    assert formatting.format_points(None) == "–"
    assert formatting.format_share(0.9741) == "97.4 %"
    assert formatting.format_km(1234.567) == "1,234.57 km"
    assert formatting.format_money_per_h(3120) == "31.20 per h"
    assert formatting.format_number(1.267) == "1.27"
    assert formatting.format_count(18204) == "18,204"
