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


class StoreError(DispatchError):
    """A database or file cannot be used as it is: missing, damaged, locked, of another version."""


class AuthError(DispatchError):
    """The actor's role does not permit the action, or the object lies outside its reach; nothing was done.

    The message does not tell whether the object exists.
    """
