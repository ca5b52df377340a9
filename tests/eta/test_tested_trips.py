from dataclasses import replace

import numpy as np
import pytest

from analysis.eta_tests import eta_test
from dispatch.errors import InputError

TEST = eta_test(50)


def test_rows_and_masks_are_chosen_in_every_column():
    rows = np.array([4, 2, 40])
    chosen = TEST.select(rows)
    assert len(chosen) == 3
    assert chosen.actual_s.tolist() == TEST.actual_s[rows].tolist()
    assert chosen.quantile_s.shape == (3, 4)
    assert chosen.others["free flow"].tolist() == TEST.others["free flow"][rows].tolist()
    assert chosen.others_quantile_s["one ratio"].shape == (3, 4)
    assert (chosen.levels, chosen.drops) == (TEST.levels, TEST.drops)
    assert len(TEST.select(TEST.actual_s < 0)) == 0


def changed(name, row, value):
    values = getattr(TEST, name).copy()
    values[row] = value
    return {name: values}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"actual_s": TEST.actual_s[:-1]}, r"actual_s has shape \(49,\): it must be \(50,\)"),
        ({"quantile_s": TEST.quantile_s[:, :3]}, r"quantile_s has shape \(50, 3\): it must be \(50, 4\)"),
        ({"quantile_s": TEST.predicted_s}, r"quantile_s has shape \(50,\)"),
        ({"others": {"free flow": TEST.actual_s[:3]}}, "others of free flow"),
        ({"others_quantile_s": {"one ratio": TEST.quantile_s[:3]}}, "others_quantile_s of one ratio"),
        (changed("predicted_s", 3, np.nan), "predicted_s holds numbers that are not finite"),
        (changed("actual_s", 3, -1.0), "actual_s holds -1: a duration must not be negative"),
        (changed("quantile_s", (3, 2), 1e6), "quantile_s does not ascend"),
        ({"levels": (0.1, 0.5, 0.9, 0.8)}, "they must ascend between 0 and 1"),
        ({"levels": ()}, "at least one"),
        ({"levels": (0.1, 0.5, 0.8, 1.0)}, "between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        replace(TEST, **fields)
