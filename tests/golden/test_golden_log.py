import csv

from dispatch.analysis.invariants import check_invariants
from dispatch.sim.runner import run
from golden.tiny_day import GOLDEN, NUM_EVENTS, log_as_csv, tiny_day


def test_the_log_of_a_tiny_day_is_what_it_always_was():
    golden = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert log_as_csv().splitlines() == golden
    assert len(golden) == NUM_EVENTS + 1


def test_the_tiny_day_shows_most_of_what_can_happen():
    kinds = {row["kind"] for row in csv.DictReader(GOLDEN.read_text(encoding="utf-8").splitlines())}
    assert kinds >= {"driver_online", "driver_offline", "cars_shown", "order_expired", "order_closed"}
    report = check_invariants(run(tiny_day()).events)
    assert (report.num_orders, report.num_expired, report.num_drivers) == (9, 4, 3)
