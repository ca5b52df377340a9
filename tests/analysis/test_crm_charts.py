import json

from analysis.crm_reports import crm_report
from dispatch.analysis.crm_charts import charts_of, revenue_of


def test_charts_show_the_numbers_of_their_tables():
    tables = crm_report().tables
    charts = charts_of(tables)
    assert set(charts) == {
        "orders", "channels", "hours", "customers", "concentration", "coupons", "points", "complaints",
        "energy",
    }  # fmt: skip
    json.dumps(charts, allow_nan=False)
    traces = {trace["name"]: trace for trace in charts["orders"]["data"]}
    assert list(traces) == ["Completed", "Cancelled", "Expired"]
    for name, label in (("completed", "Completed"), ("expired", "Expired")):
        assert traces[label]["y"] == tables["orders"][name].to_pylist()
        assert traces[label]["x"] == tables["orders"]["period"].to_pylist()
    assert [trace["name"] for trace in charts["points"]["data"]] == ["Earned", "Expired points", "Redeemed"]
    (revenue,) = revenue_of(tables)["data"]
    assert [round(100 * value) for value in revenue["y"]] == tables["orders"]["revenue_cents"].to_pylist()
    sold = sum(sum(trace["y"]) for trace in charts["energy"]["data"])
    assert round(100 * sold) == sum(tables["energy"]["revenue_cents"].to_pylist())
    curve = charts["concentration"]["data"][1]
    assert (curve["x"][0], curve["y"][0], curve["y"][-1]) == (0.0, 0.0, 100.0)
    assert curve["y"] == sorted(curve["y"])


def test_few_names_stand_on_an_axis():
    axis = charts_of(crm_report().tables)["orders"]["layout"]["xaxis"]
    assert len(axis["tickvals"]) <= 8
    assert axis["ticktext"][0] == "20 Nov"


def test_nothing_is_drawn_of_nothing():
    assert charts_of(crm_report(filled=False).tables) == {}
