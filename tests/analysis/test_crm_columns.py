import pytest

from analysis.crm_reports import crm_report
from dispatch.analysis.crm_columns import COLUMNS, cell


def test_every_column_of_a_report_has_a_name_and_a_definition():
    names = {name for table in crm_report().tables.values() for name in table.schema.names}
    assert names == set(COLUMNS)
    for column in COLUMNS.values():
        assert column.label
        assert column.definition.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("revenue_cents", 123_456_789, "1,234,567.89"),
        ("mean_wait_ms", 222_000, "3 min 42 s"),
        ("completed_share", 0.974, "97.4 %"),
        ("answered_in_time", None, "–"),
        ("answered_in_time", 1.0, "100.0 %"),
        ("millilitres", 52_340, "52.3"),
        ("submitted", 18_204, "18,204"),
        ("orders_per_active", 1.27, "1.27"),
        ("hour", 9, "09–10 h"),
        ("reaches_80", True, "✓"),
        ("channel", "app", "app"),
    ],
)
def test_values_are_written_as_people_read_them(name, value, text):
    assert cell(name, value) == text
