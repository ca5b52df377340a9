"""The errors that a caller can meet, and nothing else."""


class DispatchError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(DispatchError, ValueError):
    """Input breaks a rule; nothing was applied.

    The message names the field, the value and the rule, and says what to do.
    """


class StateError(DispatchError):
    """A command is not legal in the present state of its order, driver or offer; nothing was applied."""


class InvariantError(DispatchError):
    """A run broke one of its own invariants: a defect of this package, worth a report."""
