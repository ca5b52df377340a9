from dataclasses import replace

from analysis.eta_tests import CITY, TRAINING, eta_test
from dispatch.analysis import eta_tables
from dispatch.analysis.eta_evaluation import evaluate_eta

FOUND = evaluate_eta(eta_test(), CITY)


def test_cards_tell_the_best_of_the_others_and_how_sure_coverage_is():
    told = eta_tables.cards(FOUND)
    assert told.count('class="card"') == 6
    assert "s by linear in distance" in told
    assert "Covered by P80" in told
    assert told.count("95 % interval") == 2
    alone = evaluate_eta(replace(FOUND.test, others={}, others_quantile_s={}), CITY)
    assert " by " not in eta_tables.cards(alone).replace("Late by", "").replace("Covered by", "")


def test_names_are_escaped():
    named = evaluate_eta(replace(FOUND.test, others={"<i>x": FOUND.test.predicted_s}), CITY)
    for told in (eta_tables.error_table(named), eta_tables.predictor_legend(named)):
        assert "<i>x" not in told
        assert "&lt;i&gt;x" in told
    told = eta_tables.training_table(TRAINING)
    assert "<script>" not in told
    assert "&lt;script&gt;" in told


def test_the_model_is_bold_and_heads_are_defined():
    told = eta_tables.error_table(FOUND)
    assert '<th scope="row" class="key better">this model</th>' in told
    assert told.count('class="known"') == 7
    assert told.count("<tr>") == 5
    assert eta_tables.loss_table(FOUND).count("<tr>") == 3
    assert eta_tables.width_table(FOUND).count("<tr>") == 3


def test_checks_are_marked():
    narrow = evaluate_eta(eta_test(exact=False), CITY)
    told = eta_tables.check_table(narrow)
    assert told.count('title="out of tolerance">✗') == sum(not one.passes for one in narrow.checks)
    assert told.count('title="within tolerance">✓') == sum(one.passes for one in narrow.checks)
    assert told.count("<tr>") == 1 + 7


def test_groups_and_routes():
    assert eta_tables.group_table(FOUND, "weekday", "Weekday").count("<tr>") == 1 + 4
    zones = eta_tables.group_table(FOUND, "from_zone", "Zone")
    assert zones.count("<tr>") <= 1 + 40
    assert eta_tables.route_tables(FOUND).count("<details>") == 2
    assert eta_tables.folded("a < b", "x") == "<details><summary>a &lt; b</summary>x</details>"


def test_notes_and_size():
    told = eta_tables.notes(FOUND, ["A < B"])
    assert "A &lt; B" in told
    assert "Left out of the test" in told
    assert eta_tables.size(FOUND) == "<span>4,000 trips</span><span>4 days</span><span>4 predictors</span>"
    assert eta_tables.band_legend(FOUND).count("<i ") == 7
    assert eta_tables.level_legend(FOUND).count("<i ") == 4
    assert "<dt>MAPE</dt>" in eta_tables.definitions()


def test_a_training_that_tells_nothing():
    assert "does not tell" in eta_tables.training_table({})
