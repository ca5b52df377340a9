"""Turn restrictions as sequences of arcs, on streets written by hand."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.osm.restriction_tags import BROKEN, ELSEWHERE
from roads.osm_files import STREET, city_of, drops_of, node_at, rules_by_nodes

#   4
#   |
# 1-2-3   ways 12, 23, 24, 25 meet at 2; way 36 goes on from 3
#   |     so that nothing is a dead end but 1, 4, 5 and 6
#   5
CROSS = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (1, 1), 5: (1, -1), 6: (3, 1), 7: (3, -1)}
CROSS_WAYS = [(12, [1, 2], STREET), (23, [2, 3], STREET), (24, [2, 4], STREET), (25, [2, 5], STREET)]
CROSS_WAYS += [(36, [3, 6], STREET), (37, [3, 7], STREET)]


def restriction(kind, from_ways, via, to_ways, number=100):
    """A relation; `via` is a node (-id) or ways."""
    roles = [("from", "w", from_ways), ("to", "w", to_ways)]
    roles.append(("via", "n", [-via]) if isinstance(via, int) else ("via", "w", via))
    members = [(what, ref, role) for role, what, refs in roles for ref in refs]
    return number, members, {"type": "restriction", "restriction": kind}


def rules(folder, nodes, ways, *relations):
    city = city_of(folder, nodes, ways, relations)
    return rules_by_nodes(city, nodes), drops_of(city)


def test_no_turn(tmp_path):
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_left_turn", [12], -2, [24]))
    assert found == ([(1, 2, 4)], {})


def test_only_turn_forbids_all_others_and_turning_round(tmp_path):
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("only_straight_on", [12], -2, [23]))
    assert found == ([(1, 2, 1), (1, 2, 4), (1, 2, 5)], {})


def test_no_u_turn(tmp_path):
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_u_turn", [12], -2, [12]))
    assert found == ([(1, 2, 1)], {})


def test_a_u_turn_on_a_street_that_runs_through_is_forbidden_from_both_sides(tmp_path):
    ways = [(13, [1, 2, 3], STREET), *CROSS_WAYS[2:]]
    found = rules(tmp_path, CROSS, ways, restriction("no_u_turn", [13], -2, [13]))
    assert found == ([(1, 2, 1), (3, 2, 3)], {})


def test_no_entry_and_no_exit_have_many_members(tmp_path):
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_entry", [12, 23], -2, [24]))
    assert found == ([(1, 2, 4), (3, 2, 4)], {})
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_exit", [12], -2, [24, 25]))
    assert found == ([(1, 2, 4), (1, 2, 5)], {})


def test_over_a_way(tmp_path):
    found = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_u_turn", [24], [23], [36]))
    assert found == ([(4, 2, 3, 6)], {})
    back = rules(tmp_path, CROSS, CROSS_WAYS, restriction("no_left_turn", [36], [23], [25]))
    assert back == ([(6, 3, 2, 5)], {})


def test_over_a_way_with_bends(tmp_path):
    nodes = {**CROSS, 8: (1.3, 0.2), 9: (1.6, 0.2)}
    ways = [(23, [2, 8, 9, 3], STREET) if way[0] == 23 else way for way in CROSS_WAYS]
    found = rules(tmp_path, nodes, ways, restriction("no_u_turn", [24], [23], [36]))
    assert found == ([(4, 2, 3, 6)], {})


def test_only_over_a_way_holds_at_each_crossing_on_it(tmp_path):
    found, drops = rules(tmp_path, CROSS, CROSS_WAYS, restriction("only_right_turn", [12], [23], [37]))
    assert found == sorted([(1, 2, 1), (1, 2, 4), (1, 2, 5), (1, 2, 3, 2), (1, 2, 3, 6)])
    assert drops == {}


def test_over_several_ways_with_crossings_and_bends_between(tmp_path):
    nodes = {**CROSS, 8: (5, 0), 9: (6, 0), 10: (7, 2), 11: (7, -2), 12: (4, 4)}
    ways = [(12, [1, 2], STREET), (24, [2, 4], STREET), (25, [2, 5], STREET)]
    ways += [(28, [2, 3, 8], STREET), (36, [3, 6], STREET)]
    ways += [(89, [9, 8], STREET), (90, [9, 10], STREET), (91, [9, 11], STREET)]
    found = rules(tmp_path, nodes, ways, restriction("no_left_turn", [12], [28, 89], [90]))
    # 8 is where two members meet, so it stays a node
    assert found == ([(1, 2, 3, 8, 9, 10)], {})


def test_a_via_node_that_is_no_crossing_stays_a_node(tmp_path):
    nodes = {number: (number, 0) for number in range(1, 5)}
    ways = [(12, [1, 2], STREET), (23, [2, 3], STREET), (34, [3, 4], STREET)]
    found = rules(tmp_path, nodes, ways, restriction("no_straight_on", [12], -2, [23]))
    assert found == ([(1, 2, 4)], {})


def test_rules_name_whole_arcs_of_joined_streets(tmp_path):
    nodes = {**CROSS, 8: (-1, 0), 9: (-2, 0), 10: (1, 2)}
    ways = [(12, [9, 8, 1, 2], STREET), (23, [2, 3], STREET), (24, [2, 4], STREET), (49, [4, 10], STREET)]
    found = rules(tmp_path, nodes, [*ways, *CROSS_WAYS[3:]], restriction("no_left_turn", [12], -2, [24]))
    assert found == ([(9, 2, 10)], {})


def test_the_same_rule_twice_is_one(tmp_path):
    both = restriction("no_left_turn", [12], -2, [24]), restriction("no_left_turn", [12], -2, [24], 101)
    assert rules(tmp_path, CROSS, CROSS_WAYS, *both) == ([(1, 2, 4)], {})


ONE_WAY = {**STREET, "oneway": "yes"}
USELESS = [
    ([(13, [1, 2, 3], STREET), *CROSS_WAYS[2:]], ("no_left_turn", [13], -2, [24]), BROKEN),
    ([(13, [1, 2, 3], STREET), *CROSS_WAYS[2:]], ("no_left_turn", [24], -2, [13]), BROKEN),
    (CROSS_WAYS, ("no_left_turn", [12], -3, [23]), BROKEN),
    (CROSS_WAYS, ("no_left_turn", [12], [36], [37]), BROKEN),
    (CROSS_WAYS, ("no_left_turn", [12], -2, [99]), ELSEWHERE),
    (CROSS_WAYS, ("no_left_turn", [12], [99], [23]), ELSEWHERE),
    (CROSS_WAYS, ("no_left_turn", [12], -99, [23]), BROKEN),
    ([*CROSS_WAYS[:2], (24, [4, 2], ONE_WAY), *CROSS_WAYS[3:], (45, [5, 4], STREET)],
     ("no_left_turn", [12], -2, [24]), ELSEWHERE),
    ([*CROSS_WAYS[:2], (24, [2, 4], ONE_WAY), *CROSS_WAYS[3:], (45, [5, 4], STREET)],
     ("no_left_turn", [24], -2, [23]), ELSEWHERE),
    ([*CROSS_WAYS[:2], (24, [2, 4], ONE_WAY), *CROSS_WAYS[3:], (45, [5, 4], STREET)],
     ("no_u_turn", [24], -2, [24]), ELSEWHERE),
    ([(12, [1, 2], STREET), (23, [3, 2], ONE_WAY), *CROSS_WAYS[2:], (67, [6, 4], STREET)],
     ("no_u_turn", [12], [23], [36]), ELSEWHERE),
]  # fmt: skip


@pytest.mark.parametrize(("ways", "told", "reason"), USELESS)
def test_restrictions_without_use_are_counted(tmp_path, ways, told, reason):
    found, drops = rules(tmp_path, CROSS, ways, restriction(*told))
    assert found == []
    assert drops[reason] == 1


def test_a_place_behind_a_barrier_is_none(tmp_path):
    nodes = {**CROSS, 2: (1, 0, {"barrier": "bollard"}), 8: (0, 3)}
    ways = [*CROSS_WAYS, (14, [1, 8, 4], STREET)]
    found, drops = rules(tmp_path, nodes, ways, restriction("no_left_turn", [12], -2, [24]))
    assert found == []
    assert drops[ELSEWHERE] == 1


def test_restrictions_outside_of_the_network_are_counted(tmp_path):
    nodes = {**CROSS, 8: (9, 9), 9: (9, 8), 10: (9, 7)}
    ways = [*CROSS_WAYS, (89, [8, 9], STREET), (90, [9, 10], STREET)]
    found, drops = rules(tmp_path, nodes, ways, restriction("no_left_turn", [89], -9, [90]))
    assert found == []
    assert drops[ELSEWHERE] == 1


# --- against the meaning of the words ---------------------------------------------------------------

PLACES = {number: (number % 4, number // 4) for number in range(8)}
GRID = [(a, a + 1) for a in range(8) if a % 4 < 3] + [(a, a + 4) for a in range(4)]


@st.composite
def towns(draw):
    """Ways along a small grid, some of two pieces, some one-way; and restrictions between them."""
    pieces = draw(st.permutations(GRID))
    ways, number = [], 10
    while pieces:
        refs = list(pieces.pop())
        follow = [piece for piece in pieces if refs[-1] == piece[0] and piece[1] not in refs]
        if follow and draw(st.booleans()):
            pieces.remove(follow[0])
            refs.append(follow[0][1])
        oneway = draw(st.sampled_from(["no", "no", "no", "yes", "-1"]))
        ways.append((number, refs, {**STREET, "oneway": oneway}))
        number += 1
    relations = []
    for row in range(draw(st.integers(1, 4))):
        path = [draw(st.sampled_from(ways))]
        for _ in range(draw(st.integers(1, 3))):
            ends = {path[-1][1][0], path[-1][1][-1]}
            near = [way for way in ways if ends & {way[1][0], way[1][-1]} and way not in path]
            if not near:
                break
            path.append(draw(st.sampled_from(near)))
        kind = draw(st.sampled_from(["no_left_turn", "only_left_turn", "no_u_turn"]))
        ids = [way[0] for way in path]
        if len(path) == 1:
            relations.append(restriction("no_u_turn", ids, -path[0][1][-1], ids, 100 + row))
        elif len(path) == 2:
            shared = sorted({path[0][1][0], path[0][1][-1]} & {path[1][1][0], path[1][1][-1]})
            relations.append(restriction(kind, ids[:1], -shared[0], ids[1:], 100 + row))
        else:
            relations.append(restriction(kind, ids[:1], ids[1:-1], ids[-1:], 100 + row))
    return ways, relations


def naive_paths(ways, relation):
    """The node sequences that a restriction is about: from one before its place to one behind."""
    refs_of = {number: refs for number, refs, _ in ways}
    allowed = naive_links(ways)
    members = relation[1]
    from_way, to_way = (next(ref for _, ref, role in members if role == wanted) for wanted in ("from", "to"))
    via = [(what, ref) for what, ref, role in members if role == "via"]
    sequences = [[]]
    if via[0][0] == "n":
        sequences = [[via[0][1]]]
    else:
        sequences = [refs[:] for refs in (refs_of[via[0][1]], refs_of[via[0][1]][::-1])]
        for _, ref in via[1:]:
            longer = []
            for sequence in sequences:
                both = refs_of[ref], refs_of[ref][::-1]
                longer += [sequence + refs[1:] for refs in both if sequence[-1] == refs[0]]
            sequences = longer
    found = []
    for sequence in sequences:
        for before, after in itertools.product(
            neighbours(refs_of[from_way], sequence[0]), neighbours(refs_of[to_way], sequence[-1])
        ):
            whole = [before, *sequence, after]
            if all(pair in allowed for pair in itertools.pairwise(whole)):
                found.append(whole)
    return found


def neighbours(refs, node):
    """Nodes next to a node that ends a way."""
    return [refs[1]] * (refs[0] == node) + [refs[-2]] * (refs[-1] == node)


def naive_links(ways):
    links = set()
    for _, refs, tags in ways:
        for a, b in itertools.pairwise(refs):
            links |= {(a, b)} if tags["oneway"] != "-1" else set()
            links |= {(b, a)} if tags["oneway"] != "yes" else set()
    return links


def naive_legal(walk, ways, relations):
    """Whether a walk over nodes keeps to all restrictions."""
    for relation in relations:
        only = relation[2]["restriction"].startswith("only")
        for path in naive_paths(ways, relation):
            for start in range(len(walk)):
                part = walk[start : start + len(path)]
                if not only and part == path:
                    return False
                # who came in over the first two nodes must go on as the path does
                if only and part[:2] == path[:2] and part != path[: len(part)]:
                    return False
    return True


@given(towns())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_walks_are_legal_where_the_restrictions_say_so(tmp_path, town):
    ways, relations = town
    try:
        city = city_of(tmp_path, PLACES, ways, relations)
    except InputError:
        return
    graph = city.graph
    at = {node_at(city, *xy): number for number, xy in PLACES.items()}
    coordinates = {}
    for number, xy in PLACES.items():
        coordinates[(round(14.5 + xy[0] * 0.001, 7), round(35.9 + xy[1] * 0.001, 7))] = number
    shapes, lines = graph.shapes, []
    for first, last in itertools.pairwise(shapes.first_point):
        points = zip(shapes.lon[first:last], shapes.lat[first:last], strict=True)
        lines.append([coordinates[point] for point in points])
    assert all(line[0] == at[tail] for line, tail in zip(lines, graph.tail.tolist(), strict=True))
    inside = {node for line in lines for node in line}
    known = [
        relation for relation in relations if all(set(path) <= inside for path in naive_paths(ways, relation))
    ]
    if len(known) < len(relations):
        return  # partly outside of the network: told apart by a test of its own
    forbidden = set(rules_as_arcs(graph))
    for walk in walks(graph, 4):
        by_arcs = not any(
            walk[i:j] in forbidden for i in range(len(walk)) for j in range(i + 2, len(walk) + 1)
        )
        nodes = lines[walk[0]] + [node for arc in walk[1:] for node in lines[arc][1:]]
        assert by_arcs == naive_legal(nodes, ways, relations), nodes


def rules_as_arcs(graph):
    if graph.forbidden is None:
        return []
    return [tuple(graph.forbidden.arc[a:b].tolist()) for a, b in itertools.pairwise(graph.forbidden.first)]


def walks(graph, num_arcs):
    """All sequences of consecutive arcs of up to some length, as far as there are not too many."""
    found = [(arc,) for arc in range(graph.num_arcs)]
    for _ in range(num_arcs - 1):
        longest = len(found[-1])
        found += [
            (*walk, arc)
            for walk in found
            if len(walk) == longest
            for arc in range(graph.first_arc[graph.head[walk[-1]]], graph.first_arc[graph.head[walk[-1]] + 1])
        ]
        if len(found) > 3000:
            break
    return found
