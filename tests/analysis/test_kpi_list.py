import pytest
from analysis.logs import random_log

from dispatch.analysis.kpi_list import KPI, KPIS
from dispatch.analysis.measured import measured

NEED_DRIVEN_TRAVEL = {"pickup_eta_mae_s", "pickup_eta_bias_s", "pickup_late5_share", "pickup_late10_share"}


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_each_kpi_has_a_unit_a_definition_and_a_format(kpi):
    assert kpi.name.endswith(("_share", "_s", "_per_order", "_cents_per_h", "_gini"))
    assert kpi.definition.endswith(".")
    assert "nan" not in kpi.format(0.123).lower()
    assert kpi.format(None) == "–"


def test_names_are_unique_and_labels_tell_kpis_apart():
    assert len(KPI) == len(KPIS) == len({kpi.label for kpi in KPIS}) == len({kpi.definition for kpi in KPIS})


def test_eta_errors_are_what_needs_driven_travel():
    assert {kpi.name for kpi in KPIS if kpi.needs_driven_travel} == NEED_DRIVEN_TRAVEL


@pytest.mark.parametrize("seed", range(5))
def test_shares_lie_between_none_and_all(seed):
    tables = measured(random_log(seed))
    shares = {kpi.name: kpi.measure(tables) for kpi in KPIS if kpi.name.endswith("_share")}
    assert all(value is None or 0 <= value <= 1 for value in shares.values()), shares
