"""The customizable contraction hierarchy of a road network: made once, for any travel times."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.contraction import Tree, eliminate, tree_of, turned_round
from dispatch.kernels.csr import Links
from dispatch.kernels.customization import Inputs
from dispatch.kernels.nested_dissection import dissect
from dispatch.kernels.peeling import PEELED, peel
from dispatch.kernels.unpacking import Lower
from dispatch.roads.turns import TurnGraph, members
from dispatch.units import INDEX_DTYPE, NO_INDEX

FORMAT: Final = 1
_MOST_ATTEMPTS: Final = 100
_PARTS_PER_THREAD: Final = 16
_WORK_OF_ARC: Final = 10
"""What an arc costs in customization beside its cells, in cells."""


@dataclass(frozen=True)
class Workload:
    """How two threads share the customization: subtrees for each, and the nodes above them."""

    begin: tuple[NDArray[np.int32], NDArray[np.int32]]
    end: tuple[NDArray[np.int32], NDArray[np.int32]]
    """Ranges of ranks of each thread"""
    above: NDArray[np.int32]
    """(n,) ranks, ascending"""
    base: NDArray[np.int32]
    """(nodes,) where the second thread keeps its rows"""
    num_cells: int
    """Cells of all rows, with the private ones"""


@dataclass(frozen=True)
class Hierarchy:
    """Order and shortcuts of a graph; nodes of the graph are states of a turn graph.

    Memory-mapped or not, arrays are never written.
    """

    rank: NDArray[np.int32]
    """(states,) by state"""
    tree: Tree
    lower: Lower
    inputs: Inputs
    key: str
    """Names the graph that it was made from"""
    workload: Workload

    @property
    def num_arcs(self) -> int:
        """Arcs of the hierarchy: those of the graph and shortcuts, both directions counted as one."""
        return len(self.tree.upper)

    @property
    def height(self) -> int:
        """Nodes on the longest way to a root."""
        return int(self.tree.depth.max(initial=-1)) + 1

    @property
    def num_bytes(self) -> int:
        """Memory of all arrays."""
        arrays = [self.rank, *self.tree, *self.lower, *self.inputs, self.workload.base]
        return sum(array.nbytes for array in arrays)

    @classmethod
    def build(cls, turns: TurnGraph, x: NDArray[np.float64], y: NDArray[np.float64]) -> Hierarchy:
        """Order the states of a graph and contract them.

        Parameters
        ----------
        turns : TurnGraph
        x, y : (states,) float64
            Where they are, in any plane; states of one node may lie on one spot.
        """
        order = _order(_links(turns), np.ascontiguousarray(x), np.ascontiguousarray(y))
        return cls._of_order(turns, order)

    @classmethod
    def _of_order(cls, turns: TurnGraph, order: NDArray[np.int32]) -> Hierarchy:
        tree, new_rank, num_cells = tree_of(*eliminate(_links(turns), order))
        if num_cells > np.iinfo(np.int32).max // 3:
            raise InputError(f"the network needs {num_cells} cells, too many for 32 bits: use a part of it")
        rank = np.empty(len(order), INDEX_DTYPE)
        rank[order] = new_rank
        workload = _share_out(tree, num_cells)
        inputs = _inputs(turns, rank, tree, workload.num_cells)
        return cls(rank, tree, Lower(*turned_round(tree)), inputs, key_of(turns), workload)

    def save(self, folder: Path) -> Path:
        """Write it into a folder of its own, named by the graph's key, whole or not at all; give that."""
        target = folder / f"hierarchy-{self.key}"
        partial = folder / f".hierarchy-{secrets.token_hex(8)}"
        partial.mkdir(parents=True)
        try:
            arrays = _arrays(self.rank, self.tree, self.lower, self.inputs)
            for name, array in arrays.items():
                with (partial / f"{name}.npy").open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            num_cells, digest = self.workload.num_cells, _digest(arrays)
            about = {"format": FORMAT, "key": self.key, "num_cells": num_cells, "digest": digest}
            (partial / "about.json").write_text(json.dumps(about))
            _put(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    @classmethod
    def load(cls, folder: Path, turns: TurnGraph) -> Hierarchy | None:
        """Open what :meth:`save` wrote for this graph, mapped into memory; None if nothing is there.

        Raises
        ------
        InputError
            What is there is damaged.
        """
        key = key_of(turns)
        source = folder / f"hierarchy-{key}"
        if not source.is_dir():
            return None
        try:
            about = json.loads((source / "about.json").read_text())
            if about["format"] != FORMAT:
                return None
            tree = Tree(*_mapped_fields(source, "tree", Tree._fields))
            lower = Lower(*_mapped_fields(source, "lower", Lower._fields))
            inputs = Inputs(*_mapped_fields(source, "inputs", Inputs._fields))
            rank = _mapped(source / "rank.npy")
            if about["digest"] != _digest(_arrays(rank, tree, lower, inputs)):
                raise ValueError("its arrays are not those that were saved")
            saved_cells = about["num_cells"]
        except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
            raise InputError(f"{source} is damaged ({error}): delete the folder, it is made anew") from error
        num_cells = int(tree.base[-1] + tree.depth[-1]) if len(rank) else 0
        found = cls(rank, tree, lower, inputs, key, _share_out(tree, num_cells))
        # Inputs of ways down lie behind the cells that threads have to themselves.
        return found if found.workload.num_cells == saved_cells else None


def _arrays(
    rank: NDArray[np.int32], tree: Tree, lower: Lower, inputs: Inputs
) -> dict[str, NDArray[np.int32]]:
    parts = (("tree", tree), ("lower", lower), ("inputs", inputs))
    arrays = {f"{part}_{name}": one for part, fields in parts for name, one in fields._asdict().items()}
    return arrays | {"rank": rank}


def _digest(arrays: dict[str, NDArray[np.int32]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _put(partial: Path, target: Path) -> None:
    """Move a folder to where perhaps another one is, or is being put by somebody else."""
    failed: OSError | None = None
    for _ in range(_MOST_ATTEMPTS):
        aside = target.with_name(f".hierarchy-{secrets.token_hex(8)}")
        try:
            if target.exists():
                target.replace(aside)
            partial.replace(target)
        except OSError as error:  # another one was faster: once more
            failed = error
        else:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    if failed is not None:
        raise failed


def key_of(turns: TurnGraph) -> str:
    """Name a graph by its arcs: any travel times and coordinates may go with the same hierarchy."""
    digest = hashlib.sha256(f"{turns.num_states}".encode())
    for array in (turns.first_arc, turns.head, turns.edge, turns.first_state, turns.state):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _mapped(path: Path) -> NDArray[np.int32]:
    """Map an array copy-on-write: read-only ones would compile the kernels a second time."""
    array: NDArray[np.int32] = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    if array.dtype != INDEX_DTYPE or array.ndim != 1:
        raise ValueError(f"{path.name} holds {array.dtype} of shape {array.shape}")
    return array


def _mapped_fields(folder: Path, part: str, names: tuple[str, ...]) -> list[NDArray[np.int32]]:
    return [_mapped(folder / f"{part}_{name}.npy") for name in names]


def _links(turns: TurnGraph) -> Links:
    one, other = turns.companions()
    return _undirected(
        turns.num_states, np.concatenate([turns.tail, one]), np.concatenate([turns.head, other])
    )


def _undirected(num_nodes: int, tail: NDArray[np.integer], head: NDArray[np.integer]) -> Links:
    """Give every pair of different nodes that an arc joins once in the rows of both."""
    low, high = np.minimum(tail, head).astype(np.int64), np.maximum(tail, head).astype(np.int64)
    pair = np.unique((low * num_nodes + high)[low != high])
    low, high = pair // max(num_nodes, 1), pair % max(num_nodes, 1)
    ends = np.concatenate([low, high])
    order = np.argsort(ends, kind="stable")
    place = np.empty(len(order), INDEX_DTYPE)
    place[order] = np.arange(len(order), dtype=INDEX_DTYPE)
    twin = np.concatenate([place[len(low) :], place[: len(low)]])
    first = _first(ends, num_nodes)
    return Links(first, np.concatenate([high, low])[order].astype(INDEX_DTYPE), twin[order])


def _first(group: NDArray[np.integer], num_groups: int) -> NDArray[np.int32]:
    first = np.zeros(num_groups + 1, INDEX_DTYPE)
    np.cumsum(np.bincount(group, minlength=num_groups), out=first[1:])
    return first


def _order(links: Links, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    """Peel off dead ends and chains, then dissect the rest."""
    num_nodes = len(x)
    to, degree = np.empty_like(links.to), np.empty(num_nodes, INDEX_DTYPE)
    order = np.empty(num_nodes, INDEX_DTYPE)
    num_peeled = peel(links, to, degree, order)
    core = np.flatnonzero(degree != PEELED)
    place = np.full(num_nodes, NO_INDEX, np.int64)
    place[core] = np.arange(len(core))
    which, entry = members(degree[core])
    head = to[links.first[core][which] + entry]
    core_order = np.empty(len(core), INDEX_DTYPE)
    dissect(_undirected(len(core), which, place[head]), x[core], y[core], core_order)
    order[num_peeled:] = core[core_order]
    return order


def _inputs(turns: TurnGraph, rank: NDArray[np.int32], tree: Tree, num_cells: int) -> Inputs:
    """Sort arcs by their lower end; loops have no place, no shortest way drives one."""
    tail, head = rank[turns.tail], rank[turns.head]
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    by_low = np.argsort(low, kind="stable")
    by_low = by_low[(tail != head)[by_low]]
    leads_down = (tail > head)[by_low]
    cell = tree.depth[high[by_low]] + np.where(leads_down, num_cells, 0)
    return Inputs(_first(low[by_low], len(rank)), cell.astype(INDEX_DTYPE), turns.edge[by_low])


def _share_out(tree: Tree, num_cells: int) -> Workload:
    """Cut the tree into subtrees of like work and deal them out, the largest first."""
    num_nodes = len(tree.parent)
    work = np.zeros(num_nodes + 1, np.int64)
    np.cumsum(np.diff(tree.first_upper) * (_WORK_OF_ARC + tree.depth - tree.first_depth) + 1, out=work[1:])
    roots = np.flatnonzero(tree.parent == NO_INDEX)
    heap = [(-int(work[v + 1] - work[tree.lowest[v]]), int(v)) for v in roots]
    heapq.heapify(heap)
    above: list[int] = []
    while heap and -heap[0][0] * 2 * _PARTS_PER_THREAD > work[-1] and tree.lowest[heap[0][1]] < heap[0][1]:
        _, v = heapq.heappop(heap)
        above.append(v)
        child = v - 1
        while child >= tree.lowest[v]:
            heapq.heappush(heap, (-int(work[child + 1] - work[tree.lowest[child]]), child))
            child = int(tree.lowest[child]) - 1
    subtrees: tuple[list[int], list[int]] = ([], [])
    load = [0, 0]
    for minus_work, v in sorted(heap):
        thread = int(load[1] < load[0])
        subtrees[thread].append(v)
        load[thread] -= minus_work
    ends = tuple(np.sort(np.array(part, INDEX_DTYPE)) for part in subtrees)
    nodes, base = np.sort(np.array(above, INDEX_DTYPE)), tree.base.copy()
    length = tree.depth[nodes] - tree.first_depth[nodes]
    base[nodes] = num_cells + np.cumsum(length) - length - tree.first_depth[nodes]
    return Workload(
        (tree.lowest[ends[0]], tree.lowest[ends[1]]),
        (ends[0] + np.int32(1), ends[1] + np.int32(1)),
        nodes,
        base,
        num_cells + int(length.sum()),
    )
