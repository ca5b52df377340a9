import re

import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.roads.forbidden_turns import ForbiddenTurns

TAIL = np.array([0, 1, 1, 2], np.int32)
HEAD = np.array([1, 2, 0, 0], np.int32)


def rules_of(forbidden):
    """Rules as tuples of arcs."""
    return [
        tuple(forbidden.arc[a:b].tolist())
        for a, b in zip(forbidden.first[:-1], forbidden.first[1:], strict=True)
    ]


def test_rules_go_in_and_out():
    rules = [(0, 1), (0, 1, 3), (2, 0)]
    forbidden = ForbiddenTurns.of(rules)
    assert (forbidden.num_rules, rules_of(forbidden)) == (3, rules)
    assert (forbidden.first.dtype, forbidden.arc.dtype) == (np.int32, np.int32)
    checked = ForbiddenTurns.checked(forbidden.first, forbidden.arc, TAIL, HEAD)
    assert rules_of(checked) == rules
    assert rules_of(ForbiddenTurns.of([])) == []
    assert ForbiddenTurns.checked([0], [], TAIL, HEAD).num_rules == 0


def test_rules_follow_their_arcs_to_new_rows():
    forbidden = ForbiddenTurns.of([(0, 1, 3), (2, 0)]).renumbered(np.array([3, 2, 1, 0], np.int32))
    assert rules_of(forbidden) == [(3, 2, 0), (1, 3)]


WRONG = [
    (([0, 3], [0, 1]), "first must go from 0 to 2"),
    (([], []), "first must go from 0 to 0"),
    (([0, 1, 3], [0, 1, 3]), "first gives rule 0 fewer than two arcs"),
    (([0, 2], [0, 4]), "arc at row 1 is 4: the graph has 4 arcs"),
    (([0, 2], [-1, 0]), "arc at row 0 is -1"),
    (([0, 2, 4], [0, 1, 0, 3]), "arc at row 3 is 3, which does not begin where 0 ends"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG)
def test_rules_that_cannot_be(arrays, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ForbiddenTurns.checked(*arrays, TAIL, HEAD)
