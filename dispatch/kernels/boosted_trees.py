"""Sums of regression trees: what gradient boosting predicts, for blocks of rows.

A node sends a row to its left child where ``feature <= threshold``; the leaf that a row ends in gives its
value, and the prediction is the sum over all trees. Features are float32 within ``MAX_FEATURE``, never NaN.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.jit import F64, I32, I64, f64, i64, kernel, record
from dispatch.units import NO_INDEX

BLOCK_ROWS: Final = 256
"""Rows that are predicted at once. Bins and leaves of a block stay in the first-level cache."""
NARROW_ROWS: Final = 64
"""Rows of a narrow block: the bytes of the widest vectors."""
FEW_ROWS: Final = 10
"""So many rows and fewer walk down the trees one by one: a narrow block costs as much as ten."""
NUM_CELLS: Final = 512
"""Cells of the grid by which a feature's bin is found."""
MAX_EDGES: Final = 255
"""Different thresholds of a feature: bins are bytes."""
MAX_LEAVES: Final = 256
"""Leaves of a tree: they are bytes."""
MAX_FEATURE: Final = 1e30
"""Largest magnitude of a feature or threshold: differences and their multiples are never NaN."""
LINE_BYTES: Final = 64
"""A line of the cache."""
LINE: Final = LINE_BYTES // 4
"""Features that are turned into columns at once: those of one line."""
NUM_ROOTS: Final = 4
"""Trees whose leaves are summed at once."""
TREES_ABREAST: Final = 8
"""Trees that one row walks down at once."""

F32, F32_2D = types.float32[::1], types.float32[:, ::1]
U8, U8_2D, U32, U32_2D = types.uint8[::1], types.uint8[:, ::1], types.uint32[::1], types.uint32[:, ::1]


class Trees(NamedTuple):
    """Trees as kernels read them; `nodes` counts those with children, of all trees.

    The scratch row of a node holds the number of the leaf that each row of the block ends in below it: of
    the left or right scratch row. The first `leaves` scratch rows are those numbers themselves, the next
    ``NUM_ROOTS`` belong to roots.
    """

    low: np.ndarray
    """(features,) float32, where a feature's grid begins: its least threshold"""
    scale: np.ndarray
    """(features,) float32, cells of the grid per unit"""
    cell_bin: np.ndarray
    """(features, NUM_CELLS) uint8, number of thresholds below a cell"""
    edge: np.ndarray
    """(features, 2 * MAX_EDGES) float32, thresholds ascending, then infinity"""
    num_steps: np.ndarray
    """(features,) int64, halvings that find a bin among a cell's; 0 for a feature that nobody asks"""
    first_node: np.ndarray
    """(trees + 1,) int32"""
    program: np.ndarray
    """(nodes, 5) uint32, children first: of the feature's bins, the threshold's bin, its own leaves, those of
    left and right; all but the bin are offsets into :class:`Workspace`"""
    first_leaf: np.ndarray
    """(trees + 1,) int32"""
    value: np.ndarray
    """(leaves of all trees,) float64"""
    root: np.ndarray
    """(TREES_ABREAST * groups,) uint32, roots, of shallow trees first; empty ones fill it up"""
    depth: np.ndarray
    """(groups,) int64, of the deepest tree of each group"""
    feature: np.ndarray
    """(places,) uint32; places are nodes and leaves of all trees, a node's two children side by side"""
    threshold: np.ndarray
    """(places,) float32, infinity for a leaf"""
    left: np.ndarray
    """(places,) uint32, place of the left child; of a leaf, itself"""
    value_at: np.ndarray
    """(places,) float64, of a leaf; 0 for a node"""
    start: float
    """what the sum begins with: trees of a single leaf"""
    most_leaves: int
    """of a tree"""
    num_scratch: int
    """scratch rows"""


TREES = record(
    Trees, F32, F32, U8_2D, F32_2D, I64, I32, U32_2D, I32, F64, U32, I64, U32, F32, U32, F64, f64, i64, i64
)


class Nodes(NamedTuple):
    """Trees as files hold them: those of :class:`dispatch.eta.boosting.Forest`."""

    num_features: int
    first_node: np.ndarray
    """(trees + 1,) int32, where the nodes of a tree begin"""
    feature: np.ndarray
    """(nodes,) int32"""
    threshold: np.ndarray
    """(nodes,) float32"""
    left: np.ndarray
    """(nodes,) int32, a later node of the tree, or ``~leaf``; both are numbered from 0 in each tree"""
    right: np.ndarray
    """(nodes,) int32"""
    value: np.ndarray
    """(nodes + trees,) float64, of the leaves, tree by tree"""


class Workspace(NamedTuple):
    """Memory of one thread for :func:`predict_block`."""

    bins: np.ndarray
    """(features * BLOCK_ROWS,) uint8"""
    leaf: np.ndarray
    """(scratch rows * BLOCK_ROWS,) uint8; see :class:`Trees`"""
    columns: np.ndarray
    """(LINE, BLOCK_ROWS) float32"""
    cell: np.ndarray
    """(BLOCK_ROWS,) int32"""


WORKSPACE = record(Workspace, U8, U8, F32_2D, I32)


def workspace_for(trees: Trees) -> Workspace:
    """Make memory for blocks that `trees` predict; nothing of it needs to be kept from block to block."""
    num_bins, num_leaves = len(trees.low) * BLOCK_ROWS, trees.num_scratch * BLOCK_ROWS
    num_columns = 4 * LINE * BLOCK_ROWS
    raw = np.empty(num_bins + num_leaves + num_columns + 4 * BLOCK_ROWS + LINE_BYTES, np.uint8)
    # From the begin of a line of the cache on: vectors across two lines took half as long again.
    first_bin = -raw.__array_interface__["data"][0] % LINE_BYTES
    first_leaf = first_bin + num_bins
    first_column = first_leaf + num_leaves
    first_cell = first_column + num_columns
    leaf = raw[first_leaf:first_column]
    numbers = leaf[: trees.most_leaves * BLOCK_ROWS].reshape(trees.most_leaves, BLOCK_ROWS)
    numbers[:] = np.arange(trees.most_leaves, dtype=np.uint8)[:, np.newaxis]
    columns = raw[first_column:first_cell].view(np.float32).reshape(LINE, BLOCK_ROWS)
    cell = raw[first_cell : first_cell + 4 * BLOCK_ROWS].view(np.int32)
    return Workspace(raw[first_bin:first_leaf], leaf, columns, cell)


@kernel()
def predict_row(trees, features):
    """Give the prediction for one row (features,) float32, by walks down eight trees abreast.

    No branch depends on the row: who has arrived at a leaf steps on the spot, until the deepest of the eight
    trees is done. 200 trees of 31 leaves, 40 features: 1.9 µs, where walks one by one take 5.1, and eight
    rows abreast down one tree 3.4 each.
    """
    feature, threshold, left, value = trees.feature, trees.threshold, trees.left, trees.value_at
    total = 0.0
    for group in range(len(trees.depth)):
        root = trees.root[TREES_ABREAST * group : TREES_ABREAST * (group + 1)]
        a, b, c, d, e, f, g, h = root[0], root[1], root[2], root[3], root[4], root[5], root[6], root[7]
        for _ in range(trees.depth[group]):
            a = left[a] + np.uint32(features[feature[a]] > threshold[a])
            b = left[b] + np.uint32(features[feature[b]] > threshold[b])
            c = left[c] + np.uint32(features[feature[c]] > threshold[c])
            d = left[d] + np.uint32(features[feature[d]] > threshold[d])
            e = left[e] + np.uint32(features[feature[e]] > threshold[e])
            f = left[f] + np.uint32(features[feature[f]] > threshold[f])
            g = left[g] + np.uint32(features[feature[g]] > threshold[g])
            h = left[h] + np.uint32(features[feature[h]] > threshold[h])
        total += (value[a] + value[b]) + (value[c] + value[d])
        total += (value[e] + value[f]) + (value[g] + value[h])
    return total


@kernel()
def bin_column(trees, feature, column, num_rows, workspace):
    """Write the bins of one feature of a block: how many of its thresholds are less than each value.

    The grid leaves one or two halvings: 0.6 ms for 10,000 rows of 40 features with up to 220 thresholds. All
    eight without a grid took 11; one value's halvings after the other's 2.3 (256 cells 3.1, 4096 cells 1.3).
    """
    num_steps = trees.num_steps[feature]
    if num_steps == 0:
        return
    low, scale, top = trees.low[feature], trees.scale[feature], np.float32(NUM_CELLS - 1)
    edge, cell_bin = trees.edge[feature], trees.cell_bin[feature]
    cell, bins = workspace.cell, workspace.bins[feature * BLOCK_ROWS :]
    for i in range(num_rows):
        along = (column[i] - low) * scale
        along = along if along > np.float32(0) else np.float32(0)  # NaN, too
        cell[i] = np.int32(along if along < top else top)
    for i in range(num_rows):
        bins[i] = cell_bin[cell[i]]
    for step in range(num_steps - 1, -1, -1):
        reach = (np.int64(1) << step) - 1
        for i in range(num_rows):
            place = np.int64(bins[i])
            bins[i] = place + (np.int64(edge[place + reach] < column[i]) << step)


@kernel()
def pass_up(program, bins, leaf):
    """Write the leaves of whole blocks, node by node (nodes, 5), the root last.

    No branch and no gather: LLVM makes it a loop over 64 bytes at once, 5.5 ns a node. That is 1.3 ms for
    10,000 rows of 200 trees of 31 leaves, 40 features; all of a prediction takes 2.7, of which bins 0.6, sums
    of leaves 0.5. Rejected, in ms for the same rows: walks row by row 49, eight rows abreast 33, eight trees
    abreast 19; level by level in padded trees of depth 5, 9 (LLVM makes no gathers of it). Bits of leaves
    left, as in Lucchese et al., QuickScorer (SIGIR 2015), for all nodes: 2.7 on float32 and 2.4 on bins,
    before any leaf is found. The loop here on float32: 3.1. Leaves of a node that has two as constants: 1.7
    with a branch, 2.0 in a loop of their own. Signed offsets and rows of 2-d arrays: 1.7, and twice the time
    for narrow blocks. Arrays that do not begin with a line of the cache: up to 2.2.
    """
    for node in range(len(program)):
        feature, threshold = np.int64(program[node, 0]), np.uint8(program[node, 1])
        own, left, right = np.int64(program[node, 2]), np.int64(program[node, 3]), np.int64(program[node, 4])
        for i in range(BLOCK_ROWS):
            if_left, if_right = leaf[left + i], leaf[right + i]
            leaf[own + i] = if_left if bins[feature + i] <= threshold else if_right


@kernel()
def pass_up_narrow(program, bins, leaf):
    """Do the same for the first ``NARROW_ROWS`` of a block, in a third of the time."""
    for node in range(len(program)):
        feature, threshold = np.int64(program[node, 0]), np.uint8(program[node, 1])
        own, left, right = np.int64(program[node, 2]), np.int64(program[node, 3]), np.int64(program[node, 4])
        for i in range(NARROW_ROWS):
            if_left, if_right = leaf[left + i], leaf[right + i]
            leaf[own + i] = if_left if bins[feature + i] <= threshold else if_right


@kernel()
def sum_leaves(trees, num_rows, workspace, out_prediction):
    """Write the predictions for a block whose bins are known."""
    leaf, value, first_leaf = workspace.leaf, trees.value, trees.first_leaf
    for i in range(num_rows):
        out_prediction[i] = trees.start
    num_trees = len(trees.first_node) - 1
    for begin in range(0, num_trees, NUM_ROOTS):
        end = min(begin + NUM_ROOTS, num_trees)
        program = trees.program[trees.first_node[begin] : trees.first_node[end]]
        if num_rows <= NARROW_ROWS:
            pass_up_narrow(program, workspace.bins, leaf)
        else:
            pass_up(program, workspace.bins, leaf)
        root = trees.most_leaves * BLOCK_ROWS
        if end == begin + NUM_ROOTS:
            value_0, value_1 = value[first_leaf[begin] :], value[first_leaf[begin + 1] :]
            value_2, value_3 = value[first_leaf[begin + 2] :], value[first_leaf[begin + 3] :]
            leaf_0, leaf_1 = leaf[root:], leaf[root + BLOCK_ROWS :]
            leaf_2, leaf_3 = leaf[root + 2 * BLOCK_ROWS :], leaf[root + 3 * BLOCK_ROWS :]
            for i in range(num_rows):
                out_prediction[i] += (value_0[leaf_0[i]] + value_1[leaf_1[i]]) + (
                    value_2[leaf_2[i]] + value_3[leaf_3[i]]
                )
        else:
            for tree in range(begin, end):
                own_value, own_leaf = value[first_leaf[tree] :], leaf[root + (tree - begin) * BLOCK_ROWS :]
                for i in range(num_rows):
                    out_prediction[i] += own_value[own_leaf[i]]


@kernel((TREES, F32_2D, i64, WORKSPACE, F64))
def predict_block(trees, columns, num_rows, workspace, out_prediction):
    """Write the predictions (num_rows,) float64 for a block of columns (features, BLOCK_ROWS) float32.

    What lies beyond `num_rows`, at most ``BLOCK_ROWS``, is not read. Values must be within ``MAX_FEATURE``;
    others give an arbitrary sum of leaves, and no memory of others is read.
    """
    for feature in range(len(trees.low)):
        bin_column(trees, feature, columns[feature], num_rows, workspace)
    sum_leaves(trees, num_rows, workspace, out_prediction)


@kernel((TREES, F32_2D, F64))
def predict_few(trees, features, out_prediction):
    """Write the predictions (n,) float64 for rows (n, features) float32 by walks, the best way for few.

    Returns
    -------
    int
        The first row with a feature that is not within ``MAX_FEATURE``, ``NO_INDEX`` if there is none.
    """
    limit = np.float32(MAX_FEATURE)
    for row in range(len(features)):
        own = features[row]
        num_good = 0
        for feature in range(len(own)):
            num_good += abs(own[feature]) <= limit
        if num_good < len(own):
            return row
        out_prediction[row] = predict_row(trees, own)
    return NO_INDEX


@kernel((TREES, F32_2D, WORKSPACE, F64))
def predict_rows(trees, features, workspace, out_prediction):
    """Write the predictions (n,) float64 for rows (n, features) float32, block by block.

    Returns
    -------
    int
        The first row with a feature that is not within ``MAX_FEATURE``, ``NO_INDEX`` if there is none.
    """
    limit, columns = np.float32(MAX_FEATURE), workspace.columns
    for begin in range(0, len(features), BLOCK_ROWS):
        end = min(begin + BLOCK_ROWS, len(features))
        out = out_prediction[begin:end]
        if end - begin <= FEW_ROWS:
            bad = predict_few(trees, features[begin:end], out)
            return bad if bad == NO_INDEX else begin + bad
        num_good = 0
        for first in range(0, len(trees.low), LINE):
            last = min(first + LINE, len(trees.low))
            for i in range(end - begin):
                for feature in range(first, last):
                    columns[feature - first, i] = features[begin + i, feature]
            for feature in range(first, last):
                column = columns[feature - first]
                for i in range(end - begin):
                    num_good += abs(column[i]) <= limit
                bin_column(trees, feature, column, end - begin, workspace)
        if num_good < (end - begin) * len(trees.low):
            return first_bad_row(features, begin)
        sum_leaves(trees, end - begin, workspace, out)
    return NO_INDEX


@kernel()
def first_bad_row(features, begin):
    """Find the first row from `begin` on with a feature that is not within ``MAX_FEATURE``."""
    for row in range(begin, len(features)):
        for feature in range(features.shape[1]):
            if not abs(features[row, feature]) <= MAX_FEATURE:
                return row
    return NO_INDEX


# --- from nodes to trees --------------------------------------------------------------------------


def lay_out(forest: Nodes) -> Trees:
    """Make grids of thresholds, programs for blocks, and places for walks; nothing is checked."""
    num_nodes, num_trees = np.diff(forest.first_node), len(forest.first_node) - 1
    is_tree = num_nodes > 0
    first_leaf = forest.first_node + np.arange(num_trees + 1)
    lone = forest.value[first_leaf[:-1][~is_tree]]
    kept = np.ones(len(forest.value), np.bool_)
    kept[first_leaf[:-1][~is_tree]] = False
    first_node = np.concatenate(([0], np.cumsum(num_nodes[is_tree])))
    first_leaf = first_node + np.arange(len(first_node))
    edges = [np.unique(forest.threshold[forest.feature == k]) for k in range(forest.num_features)]
    grids = [_grid(edge) for edge in edges]
    low, scale, cell_bin, edge, num_steps = (np.stack(column) for column in zip(*grids, strict=True))
    children = np.stack((forest.left, forest.right), axis=1).astype(np.int64)
    most_leaves = int(num_nodes.max(initial=0)) + 1
    program = np.zeros((len(forest.feature), 5), np.int64)
    for tree, (begin, end) in enumerate(zip(first_node[:-1].tolist(), first_node[1:].tolist(), strict=True)):
        order, rows = _program(children[begin:end].tolist(), most_leaves, tree % NUM_ROOTS)
        program[begin:end, 0] = forest.feature[begin:end][order]
        program[begin:end, 2:] = rows
        program[begin:end, 1] = [
            np.searchsorted(edges[forest.feature[begin + node]], forest.threshold[begin + node])
            for node in order
        ]
    num_scratch = int(program[:, 2:].max(initial=most_leaves - 1)) + 1
    program[:, [0, 2, 3, 4]] *= BLOCK_ROWS
    return Trees(
        low,
        scale,
        cell_bin,
        edge,
        num_steps,
        first_node.astype(np.int32),
        program.astype(np.uint32),
        first_leaf.astype(np.int32),
        forest.value[kept],
        start=float(lone.sum()),
        most_leaves=most_leaves,
        num_scratch=num_scratch,
        **_walk(forest),
    )


def _walk(forest: Nodes) -> dict[str, np.ndarray]:
    """Give all trees as one row walks them: the fields of the kernels' trees from ``root`` to ``value_at``.

    The first place is an empty tree. Each tree is laid out level by level.
    """
    root, depth, places, left = [0], [0], [(-1, -1)], [0]
    first, child = forest.first_node.tolist(), (forest.left.tolist(), forest.right.tolist())
    for tree in range(len(first) - 1):
        level, levels = [0 if first[tree + 1] > first[tree] else ~0], 0
        root.append(len(places))
        while level:
            nodes = [first[tree] + node for node in level if node >= 0]
            next_place = len(places) + len(level)
            for node in level:
                is_node = node >= 0
                left.append(next_place if is_node else len(places))
                next_place += 2 * is_node
                places.append((first[tree] + node, -1) if is_node else (-1, first[tree] + tree + ~node))
            level = [side[node] for node in nodes for side in child]
            levels += bool(level)
        depth.append(levels)
    order = np.argsort(depth, kind="stable")
    padding = -len(order) % TREES_ABREAST
    order = np.concatenate((np.zeros(padding, np.int64), order))
    node, leaf = np.array(places).T
    value = np.zeros(len(node))
    value[leaf >= 0] = forest.value[leaf[leaf >= 0]]
    feature, threshold = np.zeros(len(node), np.uint32), np.full(len(node), np.inf, np.float32)
    feature[node >= 0] = forest.feature[node[node >= 0]]
    threshold[node >= 0] = forest.threshold[node[node >= 0]]
    return {
        "root": np.array(root, np.uint32)[order],
        "depth": np.array(depth, np.int64)[order].reshape(-1, TREES_ABREAST).max(axis=1),
        "feature": feature,
        "threshold": threshold,
        "left": np.array(left, np.uint32),
        "value_at": value,
    }


def _grid(edge: np.ndarray) -> tuple:
    """Give where a feature's grid begins, its cells per unit, their bins, the thresholds, and the halvings.

    Rounding keeps order, so a value lies in no cell before that of a lesser threshold: the bin of a cell,
    the number of thresholds in cells before it, is a lower bound that only thresholds in the cell raise.
    """
    padded = np.full(2 * MAX_EDGES, np.inf, np.float32)
    padded[: len(edge)] = edge
    if len(edge) == 0:
        return np.float32(0), np.float32(0), np.zeros(NUM_CELLS, np.uint8), padded, np.int64(0)
    width = float(edge[-1]) - float(edge[0])
    scale = np.float32(min(MAX_FEATURE, (NUM_CELLS - 1) / width if width > 0 else 1.0))
    along = np.minimum((edge - edge[0]) * scale, np.float32(NUM_CELLS - 1))
    counts = np.bincount(along.astype(np.int64), minlength=NUM_CELLS)
    cell_bin = (np.cumsum(counts) - counts).astype(np.uint8)
    return edge[0], scale, cell_bin, padded, np.int64(int(counts.max()).bit_length())


def _program(
    children: list[list[int]], num_numbers: int, root: int
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Order a tree's nodes so that children come first, in as few scratch rows as can be.

    The child that needs more rows is computed first (Sethi and Ullman, The Generation of Optimal Code for
    Arithmetic Expressions, J. ACM 17, 1970). No node writes where it reads: its loop is vectorized.

    Returns
    -------
    order : list of int
        Nodes.
    rows : list of (int, int, int)
        Scratch rows of each of them, of its left and of its right child.
    """
    needs = [0] * len(children)
    for node in range(len(children) - 1, -1, -1):
        left, right = (needs[child] if child >= 0 else 0 for child in children[node])
        needs[node] = max(left, right) + (left == right)
    order, waiting = [], [0]
    while waiting:  # backwards: node, then the child that needs less
        node = waiting.pop()
        order.append(node)
        inner = [child for child in children[node] if child >= 0]
        waiting += sorted(inner, key=lambda child: -needs[child])
    order.reverse()
    first_free = num_numbers + NUM_ROOTS
    free, rows = list(range(first_free + max(needs) + 1, first_free - 1, -1)), []
    row_of: dict[int, int] = {}
    for node in order:
        left, right = (row_of.pop(child) if child >= 0 else ~child for child in children[node])
        row_of[node] = free.pop() if node else num_numbers + root
        rows.append((row_of[node], left, right))
        free += [row for row in (left, right) if row >= num_numbers]
    return order, rows
