from analysis.eta_tests import TRAINING
from dispatch.analysis.eta_training import flat_report, is_group, ranked_gains, split_gain


def test_gains_are_taken_out_wherever_they_stand():
    gain, rest = split_gain(TRAINING)
    assert list(gain) == ["all of streets", "street seconds", "hour", "<b>bold"]
    assert "gain" not in rest
    assert "gain" in TRAINING
    nested, rest = split_gain({"fit": {"gain": {"hour": 1}, "trees": 9}})
    assert (nested, rest) == ({"hour": 1.0}, {"fit": {"trees": 9}})
    assert split_gain({"gain": {}, "seed": 1}) == ({}, {"gain": {}, "seed": 1})
    assert split_gain({"gain": {"hour": "much"}})[0] == {}


def test_groups_do_not_count_twice():
    told = ranked_gains({"all of streets": 3.0, "a": 1.0, "b": 2.0, "c": 1.0})
    assert told == [("all of streets", 0.75), ("b", 0.5), ("a", 0.25), ("c", 0.25)]
    assert [is_group(name) for name, _ in told] == [True, False, False, False]
    assert ranked_gains({"a": 0.0}) == [("a", 0.0)]


def test_a_report_as_names_and_values():
    report = {
        "version": "0.1",
        "before_ms": 1_212_217_200_000,
        "pings": {"matched": 12_345, "left_out": {"pings far away": 2}},
        "levels": [0.1, 0.5],
        "many": list(range(30)),
        "rounds": [{"loss": 1.23456}, {"loss": 0.5}],
        "live": True,
        "note": None,
    }
    assert dict(flat_report(report)) == {
        "Version": "0.1",
        "Before": "2008-05-31 07:00 UTC",
        "Pings: matched": "12,345",
        "Pings: left out: pings far away": "2",
        "Levels": "0.1, 0.5",
        "Many": "30 values",
        "Rounds 1: loss": "1.235",
        "Rounds 2: loss": "0.5",
        "Live": "yes",
        "Note": "–",
    }
