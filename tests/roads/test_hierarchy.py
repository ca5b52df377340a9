import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings

from dispatch.errors import InputError
from dispatch.roads import hierarchy as module
from dispatch.roads.hierarchy import Hierarchy, key_of
from dispatch.roads.road_network import RoadNetwork
from dispatch.roads.turns import expand_turns
from dispatch.units import NO_INDEX
from naive.hierarchy import ancestors, elimination_game
from roads.road_graphs import SHAPES, SPOTS, networks, random_network, random_weights, road_graph, with_rules


def built(graph):
    turns = expand_turns(graph)
    node = turns.node_of_state
    return turns, Hierarchy.build(turns, graph.node_lon[node], graph.node_lat[node])


def assert_sound(turns, hierarchy):
    """The arrays are those of the elimination game in the order of the ranks, and fit together."""
    n, rank, tree = turns.num_states, hierarchy.rank, hierarchy.tree
    assert sorted(rank.tolist()) == list(range(n))
    one, other = turns.companions()
    pairs = [*zip(turns.tail.tolist(), turns.head.tolist(), strict=True)]
    pairs += zip(one.tolist(), other.tolist(), strict=True)
    upper = elimination_game(n, pairs, np.argsort(rank).tolist())
    rows = np.split(tree.upper, tree.first_upper[1:-1]) if n else []
    assert [set(row.tolist()) for row in rows] == upper
    assert hierarchy.num_arcs == sum(map(len, upper))
    assert hierarchy.height == max((len(ancestors(tree.parent.tolist(), v)) for v in range(n)), default=0)
    edges = {}
    for v in range(n):
        for k in range(hierarchy.inputs.first[v], hierarchy.inputs.first[v + 1]):
            edges.setdefault(int(hierarchy.inputs.edge[k]), []).append((v, int(hierarchy.inputs.cell[k])))
    expected, half = {}, hierarchy.workload.num_cells
    for edge, tail, head in zip(turns.edge.tolist(), rank[turns.tail], rank[turns.head], strict=True):
        if tail != head:
            cell = int(tree.depth[max(tail, head)]) + (half if tail > head else 0)
            expected.setdefault(edge, []).append((int(min(tail, head)), cell))
    assert {edge: sorted(cells) for edge, cells in edges.items()} == {
        edge: sorted(cells) for edge, cells in expected.items()
    }
    assert_shared_out(hierarchy)


def assert_shared_out(hierarchy):
    """Every node is in one thread's subtrees or above; the second thread's rows above are nobody else's."""
    tree, work = hierarchy.tree, hierarchy.workload
    taken = [
        list(range(b, e))
        for part in zip(work.begin, work.end, strict=True)
        for b, e in zip(*part, strict=True)
    ]
    below = [v for part in taken for v in part]
    assert sorted([*below, *work.above.tolist()]) == list(range(len(tree.parent)))
    assert all(tree.parent[v] == NO_INDEX or tree.parent[v] in work.above for v in work.above.tolist())
    assert all(tree.lowest[part[-1]] == part[0] for part in taken)
    cells = [
        range(base[v] + tree.first_depth[v], base[v] + tree.depth[v])
        for base, nodes in ((tree.base, range(len(tree.parent))), (work.base, work.above.tolist()))
        for v in nodes
    ]
    assert sorted(cell for row in cells for cell in row) == list(range(work.num_cells))
    assert work.base[below].tolist() == tree.base[below].tolist()


@pytest.mark.parametrize("spots", ["a line", "one spot", "the plane"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape, spots):
    num_nodes, pairs = SHAPES[shape]
    graph = road_graph(num_nodes, pairs, SPOTS[spots](num_nodes))
    assert_sound(*built(graph))


@given(networks(max_nodes=9))
@settings(max_examples=60)
def test_random_networks_with_rules(network):
    assert_sound(*built(network[0]))


def test_states_of_one_node_are_on_one_way_to_the_root():
    graph = road_graph(3, [(0, 1), (1, 0), (1, 2), (2, 1)])
    graph = with_rules(graph, [(0, 1), (0, 2), (3, 2)])
    turns, hierarchy = built(graph)
    assert turns.num_states > graph.num_nodes
    parent = hierarchy.tree.parent.tolist()
    for node in range(graph.num_nodes):
        ranks = sorted(hierarchy.rank[turns.node_of_state == node].tolist())
        assert set(ranks) <= set(ancestors(parent, ranks[0]))


# --- saved ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town():
    rng = np.random.default_rng(8)
    graph, _ = random_network(rng, 60, 110, 4)
    turns, hierarchy = built(graph)
    return graph, turns, hierarchy, random_weights(np.random.default_rng(1), graph.num_arcs)


def times_of(network, travel_ms):
    every = np.arange(network.graph.num_nodes)
    return network.customize(travel_ms).table_ms(every, every).tolist()


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def test_what_is_loaded_is_what_was_saved_and_mapped(town, tmp_path):
    _, turns, hierarchy, _ = town
    place = hierarchy.save(tmp_path)
    assert place.parent == tmp_path
    loaded = Hierarchy.load(tmp_path, turns)
    assert (loaded.rank == hierarchy.rank).all()
    assert same(loaded.tree, hierarchy.tree)
    assert same(loaded.lower, hierarchy.lower)
    assert same(loaded.inputs, hierarchy.inputs)
    assert (loaded.num_arcs, loaded.height, loaded.num_bytes, loaded.key) == (
        hierarchy.num_arcs,
        hierarchy.height,
        hierarchy.num_bytes,
        hierarchy.key,
    )
    assert_shared_out(loaded)
    for array in (loaded.rank, *loaded.tree, *loaded.lower, *loaded.inputs):
        assert isinstance(array.base, np.memmap)
        assert array.flags.c_contiguous
        assert array.flags.writeable


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_loaded_again(shape, tmp_path):
    turns, hierarchy = built(road_graph(*SHAPES[shape]))
    hierarchy.save(tmp_path)
    loaded = Hierarchy.load(tmp_path, turns)
    assert same(loaded.tree, hierarchy.tree)


def test_nothing_is_there_for_another_graph(town, tmp_path):
    graph, turns, hierarchy, _ = town
    assert Hierarchy.load(tmp_path / "nowhere", turns) is None
    hierarchy.save(tmp_path)
    rng = np.random.default_rng(8)
    other, _ = random_network(rng, 60, 111, 4)
    assert Hierarchy.load(tmp_path, expand_turns(other)) is None
    assert Hierarchy.load(tmp_path, expand_turns(with_rules(graph, []))) is None
    assert Hierarchy.load(tmp_path, turns) is not None


def test_the_key_tells_graphs_apart_but_not_where_they_lie():
    ends = [(0, 1), (1, 2), (2, 0)]
    key = key_of(expand_turns(road_graph(3, ends)))
    assert key == key_of(expand_turns(road_graph(3, ends, SPOTS["one spot"](3))))
    others = [
        road_graph(4, ends),
        road_graph(3, ends[:2]),
        road_graph(3, [*ends, (2, 0)]),
        road_graph(3, [(0, 2), (1, 0), (2, 1)]),
        with_rules(road_graph(3, ends), [(0, 1)]),
    ]
    assert len({key, *(key_of(expand_turns(other)) for other in others)}) == 1 + len(others)


def test_a_later_format_is_made_anew(town, tmp_path):
    graph, turns, hierarchy, travel_ms = town
    place = hierarchy.save(tmp_path)
    about = json.loads((place / "about.json").read_text())
    (place / "about.json").write_text(json.dumps(about | {"format": about["format"] + 1}))
    assert Hierarchy.load(tmp_path, turns) is None
    network = RoadNetwork(graph, tmp_path)
    assert times_of(network, travel_ms) == times_of(RoadNetwork(graph), travel_ms)
    network.save(tmp_path)
    assert Hierarchy.load(tmp_path, turns) is not None


FILES = ["about.json", "rank.npy", "tree_upper.npy", "lower_first.npy", "inputs_cell.npy"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["torn", "gone", "garbage"])
def test_damage_is_told(town, tmp_path, name, damage):
    _, turns, hierarchy, _ = town
    place = hierarchy.save(tmp_path)
    path = place / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "torn" else b"\x80\x04garbage" * 40)
    with pytest.raises(InputError, match=r"hierarchy-\w+ is damaged .*delete the folder"):
        Hierarchy.load(tmp_path, turns)
    shutil.rmtree(place)
    assert Hierarchy.load(tmp_path, turns) is None


@pytest.mark.parametrize("change", ["wider", "two-dimensional", "longer", "shorter"])
@pytest.mark.parametrize("name", ["rank", "tree_parent", "tree_first_upper", "lower_rank", "inputs_edge"])
def test_arrays_that_do_not_fit_are_told(town, tmp_path, name, change):
    _, turns, hierarchy, _ = town
    path = hierarchy.save(tmp_path) / f"{name}.npy"
    array = np.load(path)
    changes = {
        "wider": array.astype(np.int64),
        "two-dimensional": array[None],
        "longer": np.append(array, array[-1:]),
        "shorter": array[:-1],
    }
    np.save(path, changes[change])
    with pytest.raises(InputError, match="is damaged"):
        Hierarchy.load(tmp_path, turns)


class Failing:
    """A function that works a few times, then fails."""

    def __init__(self, function, calls, error):
        self.function, self.calls_left, self.error = function, calls, error

    def __call__(self, *arguments, **options):
        if not self.calls_left:
            raise self.error
        self.calls_left -= 1
        return self.function(*arguments, **options)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("before", [False, True], ids=["the first", "over another"])
def test_an_interrupted_save_leaves_nothing_half_written(town, tmp_path, monkeypatch, interrupt, before):
    _, turns, hierarchy, _ = town
    if before:
        hierarchy.save(tmp_path)
    save_two = Failing(np.save, 2, interrupt)
    monkeypatch.setattr(np, "save", save_two)
    with pytest.raises(interrupt):
        hierarchy.save(tmp_path)
    monkeypatch.undo()
    assert save_two.calls_left == 0
    assert [path.name for path in tmp_path.iterdir()] == ([f"hierarchy-{hierarchy.key}"] if before else [])
    assert (Hierarchy.load(tmp_path, turns) is not None) == before


def test_an_empty_file_is_told(town, tmp_path):
    _, turns, hierarchy, _ = town
    (hierarchy.save(tmp_path) / "rank.npy").write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        Hierarchy.load(tmp_path, turns)


@pytest.mark.parametrize("name", ["rank", "tree_upper", "inputs_cell", "lower_rank"])
def test_a_lost_page_is_told(town, tmp_path, name):
    _, turns, hierarchy, _ = town
    path = hierarchy.save(tmp_path) / f"{name}.npy"
    content = path.read_bytes()
    path.write_bytes(content[:128] + bytes(len(content) - 128))
    with pytest.raises(InputError, match="is damaged"):
        Hierarchy.load(tmp_path, turns)


def test_what_was_saved_holds_for_another_sharing_out(town, tmp_path, monkeypatch):
    graph, _, _, travel_ms = town
    monkeypatch.setattr(module, "_PARTS_PER_THREAD", 2)
    network = RoadNetwork(graph)
    network.save(tmp_path)
    expected = times_of(network, travel_ms)
    monkeypatch.setattr(module, "_PARTS_PER_THREAD", 16)
    assert times_of(RoadNetwork(graph, tmp_path), travel_ms) == expected


def test_many_save_at_once(town, tmp_path):
    _, turns, hierarchy, _ = town
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(hierarchy.save, tmp_path) for _ in range(60)]
    assert {job.result() for job in jobs} == {tmp_path / f"hierarchy-{hierarchy.key}"}
    assert same(Hierarchy.load(tmp_path, turns).tree, hierarchy.tree)


def test_others_may_read_what_was_saved(town, tmp_path):
    place = town[2].save(tmp_path)
    (beside := tmp_path / "beside").mkdir()
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


def test_work_is_shared_out_about_evenly():
    side = 40
    ends = [
        (v, v + step)
        for v in range(side * side)
        for step in (1, side)
        if v + step < side * side and (v + 1) % side
    ]
    x, y = np.meshgrid(np.arange(float(side)), np.arange(float(side)))
    _, hierarchy = built(road_graph(side * side, ends, (x.ravel(), y.ravel())))
    work = hierarchy.workload
    loads = [int((end - begin).sum()) for begin, end in zip(work.begin, work.end, strict=True)]
    assert min(loads) > 0.7 * max(loads)
    assert len(work.above) < 0.2 * side * side
