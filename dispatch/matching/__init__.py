"""Which driver serves which order: exact assignment, the greedy policy, and the proof."""

from dispatch.matching.assignment import Assignment, Status
from dispatch.matching.certificate import Certificate, certificate
from dispatch.matching.dense import linear_sum_assignment
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve, solve_nearest
from dispatch.matching.sparse import min_weight_full_bipartite_matching

__all__ = [
    "Assignment",
    "AssignmentProblem",
    "Certificate",
    "Status",
    "certificate",
    "linear_sum_assignment",
    "min_weight_full_bipartite_matching",
    "solve",
    "solve_nearest",
]
