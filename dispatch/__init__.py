"""dispatch: which driver serves which order, when will the car be there, and what did it bring."""

__version__ = "0.1.0"
