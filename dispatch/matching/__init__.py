"""Driver-order assignment: problem, solver, certificate."""
