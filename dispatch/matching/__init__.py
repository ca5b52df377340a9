"""Which driver serves which order: exact assignment, the greedy policy, and the proof."""

from dispatch.matching.certificate import Certificate, certificate
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import Assignment, solve, solve_nearest

__all__ = ["Assignment", "AssignmentProblem", "Certificate", "certificate", "solve", "solve_nearest"]
