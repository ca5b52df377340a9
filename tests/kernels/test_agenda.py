import heapq

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.agenda import Agenda, put, put_all, take

INSTANTS = st.integers(0, 5) | st.integers(-(2**62), 2**62)
KEYS = st.integers(0, 3) | st.integers(0, 2**42)
MOVES = st.lists(st.none() | st.tuples(INSTANTS, KEYS), max_size=60)
"""Entries to put, none: take the earliest."""


def empty(room):
    return Agenda(np.empty(room, np.int64), np.empty(room, np.int64), np.zeros(1, np.int64))


@settings(max_examples=200)
@given(MOVES)
def test_the_earliest_comes_first_and_of_one_instant_the_least_key(moves):
    agenda, queue = empty(len(moves) + 1), []
    for move in moves:
        if move is not None:
            put(agenda, *move)
            heapq.heappush(queue, move)
        elif queue:
            assert (agenda.at_ms[0], agenda.key[0]) == queue[0]
            assert take(agenda) == heapq.heappop(queue)[1]
        assert agenda.size[0] == len(queue)
    while queue:
        assert agenda.at_ms[0] == queue[0][0]
        assert take(agenda) == heapq.heappop(queue)[1]
    assert agenda.size[0] == 0


@given(st.lists(st.tuples(INSTANTS, KEYS), max_size=40))
def test_many_are_entered_as_one_by_one(entries):
    agenda = empty(len(entries) + 1)
    at_ms, key = (np.array([entry[k] for entry in entries], np.int64) for k in (0, 1))
    put_all(agenda, at_ms, key)
    taken = []
    for _ in entries:
        at = int(agenda.at_ms[0])
        taken.append((at, int(take(agenda))))
    assert taken == sorted(entries)
