import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.errors import InputError
from dispatch.roads.city import City
from roads.small_city import BOTH, square, write
from roads.test_forbidden_turns import rules_of


def load(folder, turns, suffix="parquet", edges=None):
    """The square of two-way streets with rules; edges as they stand in the file."""
    nodes, both = square()
    write(folder, "nodes", nodes, suffix)
    write(folder, "edges", edges or both, suffix)
    write(folder, "turns", turns, suffix)
    return City.load(folder)


def rows_of(*rules):
    """Columns of rules as tuples of edges."""
    return {
        "rule": [n for n, rule in enumerate(rules) for _ in rule],
        "edge": [e for rule in rules for e in rule],
    }


def ends():
    """Ends of the edges in the order of the file."""
    nodes, edges = square()
    number = {node_id: row for row, node_id in enumerate(nodes["node_id"])}
    return [(number[a], number[b]) for a, b in zip(edges["from_node"], edges["to_node"], strict=True)]


def follow(length):
    """Some edges that follow each other, and how they run."""
    row, rule = 0, [0]
    while len(rule) < length:
        row = next(i for i, (a, b) in enumerate(ends()) if a == ends()[row][1] and b != ends()[row][0])
        rule.append(row)
    return tuple(rule)


def driven(city):
    """Rules as sequences of nodes."""
    graph = city.graph
    rules = [] if graph.forbidden is None else rules_of(graph.forbidden)
    return [(int(graph.tail[rule[0]]), *graph.head[list(rule)].tolist()) for rule in rules]


def nodes_of(rule):
    return (ends()[rule[0]][0], *(ends()[edge][1] for edge in rule))


@BOTH
def test_rules_name_edges_by_their_rows(tmp_path, suffix):
    back = next(row for row, pair in enumerate(ends()) if pair == ends()[0][::-1])
    rules = [follow(2), follow(3), (0, back)]
    assert driven(load(tmp_path / "c", rows_of(*rules), suffix)) == [nodes_of(rule) for rule in rules]


def test_rules_may_stand_in_any_order_and_have_any_number(tmp_path):
    one, other = follow(3), follow(2)
    turns = {"rule": [70, -5, 70, 70, -5], "edge": [one[0], other[0], one[1], one[2], other[1]]}
    assert driven(load(tmp_path / "c", turns)) == [nodes_of(other), nodes_of(one)]


def test_rules_over_edges_that_are_left_out_are_counted(tmp_path):
    _, edges = square()
    edges["length_m"] = list(edges["length_m"])
    edges["length_m"][follow(2)[1]] = -1.0
    city = load(tmp_path / "c", rows_of(follow(2)), edges=edges)
    assert city.graph.forbidden is None
    told = {drop.what: (drop.count, drop.where) for drop in city.drops}
    assert told["forbidden turns over edges that were left out"] == (1, "turns.parquet")


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ({"rule": [0, 0], "edge": [0, 8]}, "edge at row 1 is 8; the table of edges has 8 rows"),
        ({"rule": [0, 0], "edge": [-1, 0]}, "edge at row 0 is -1"),
        ({"rule": [0], "edge": [0]}, "first gives rule 0 fewer than two arcs"),
        ({"rule": [0, 0], "edge": [0, 0]}, "arc at row 1 is 0, which does not begin where 0 ends"),
        ({"rule": [0, 0]}, "missing column 'edge'"),
    ],
)
def test_rules_that_cannot_be(tmp_path, turns, message):
    with pytest.raises(InputError) as told:
        load(tmp_path / "c", turns)
    assert message in str(told.value)
    assert "turns.parquet" in str(told.value)


def test_empty_cells(tmp_path):
    nodes, edges = square()
    write(tmp_path / "c", "nodes", nodes)
    write(tmp_path / "c", "edges", edges)
    pq.write_table(pa.table({"rule": [0, 0], "edge": [0, None]}), tmp_path / "c" / "turns.parquet")
    with pytest.raises(InputError, match=r"turns\.parquet: row 1 has an empty cell"):
        City.load(tmp_path / "c")
