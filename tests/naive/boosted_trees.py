"""Forests drawn at random, and what they predict: a walk down each tree, in plain Python."""

import numpy as np

from dispatch.eta.boosting import Forest


def predicted(forest, features):
    """One row at a time, one tree at a time."""
    return np.array(
        [sum(leaf_value(forest, tree, row) for tree in range(forest.num_trees)) for row in features]
    )


def leaf_value(forest, tree, row):
    first, end = (int(node) for node in forest.first_node[tree : tree + 2])
    node = 0 if end > first else ~0
    while node >= 0:
        goes_left = row[forest.feature[first + node]] <= forest.threshold[first + node]
        node = int((forest.left if goes_left else forest.right)[first + node])
    return float(forest.value[first + tree + ~node])


def random_forest(rng, num_nodes, thresholds):
    """A forest whose trees have so many nodes; `thresholds` (features, choices) float32 to draw from."""
    trees = [random_tree(rng, number) for number in num_nodes]
    total = sum(num_nodes)
    feature = rng.integers(0, len(thresholds), total).astype(np.int32)
    choice = rng.integers(0, thresholds.shape[1], total)
    return Forest(
        tuple(f"feature {k}" for k in range(len(thresholds))),
        np.cumsum([0, *num_nodes]).astype(np.int32),
        feature,
        thresholds[feature, choice].astype(np.float32),
        np.array([left for tree in trees for left, _ in tree], np.int32),
        np.array([right for tree in trees for _, right in tree], np.int32),
        rng.normal(size=total + len(num_nodes)),
    )


def random_tree(rng, num_nodes):
    """Children of each node, as leaf-wise growth numbers them: some leaf becomes a node, again and again."""
    children, places = [], []
    for node in range(num_nodes):
        if places:
            parent, side = places.pop(rng.integers(len(places)))
            children[parent][side] = node
        children.append([None, None])
        places += [(node, 0), (node, 1)]
    for leaf, place in enumerate(rng.permutation(len(places))):
        parent, side = places[place]
        children[parent][side] = ~leaf
    return children
