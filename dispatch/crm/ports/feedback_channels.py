"""Channels of feedback: web form, e-mail, hotline, social media; all end as one kind of row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Protocol

from dispatch.crm.context import Context
from dispatch.crm.ports.base import JsonLines
from dispatch.crm.rules import check_one_of
from dispatch.crm.service.feedback import CHANNELS, Feedback, Message
from dispatch.errors import AuthError, InputError, StateError
from dispatch.units import MS_PER_S

ANSWER_S: Final = 86_400
"""Within a day, as customers are promised: see :meth:`Feedback.handle`."""


@dataclass(frozen=True)
class Refused:
    """A message that could not be taken in."""

    place: int
    """where it is in the channel: the byte behind it, in a file"""
    reason: str
    """what rule it broke; its words are not repeated"""


class FeedbackChannel(Protocol):
    """Whatever brings messages in."""

    def messages(self) -> Iterator[tuple[int, Message | Refused]]:
        """Give what came in since :meth:`done`, each with its place."""

    def done(self, place: int) -> None:
        """Take a message, and all before it, as taken in."""


class MessageFile:
    """Reads lines of JSON that a web form, a mail filter or a hotline adds to a file; fetches no mail itself.

    Parameters
    ----------
    path : Path
    channel : str
        One of :data:`dispatch.crm.service.feedback.CHANNELS`.
    at : int
        The byte to begin at: where an earlier one was done.
    """

    def __init__(self, path: Path, channel: str, at: int = 0) -> None:
        check_one_of("channel", channel, CHANNELS)
        self._lines, self._channel, self.at = JsonLines(path), channel, at

    def messages(self) -> Iterator[tuple[int, Message | Refused]]:
        """Give what was added to the file."""
        known = {one.name for one in fields(Message)} - {"channel"}
        for place, record in self._lines.read(self.at):
            try:
                if not set(record) <= known or not {"key", "topic"} <= set(record):
                    raise InputError(f"it must hold key and topic, of {', '.join(sorted(known))}")
                yield place, Message(channel=self._channel, **record)
            except (InputError, TypeError) as error:
                reason = str(error) if isinstance(error, InputError) else "a value is of a wrong type"
                yield place, Refused(place, reason)

    def done(self, place: int) -> None:
        """Go on behind a place."""
        self.at = place


@dataclass(frozen=True)
class Intake:
    """What came of a look into a channel."""

    feedback_ids: tuple[int, ...]
    refused: tuple[Refused, ...]


class FeedbackIntake:
    """Takes in what channels bring; a message that came before is that one again."""

    def __init__(self, context: Context) -> None:
        self._feedback = Feedback(context)

    def take(self, channel: FeedbackChannel, scope_id: int, at_ms: int) -> Intake:
        """Take in all that a channel has; what breaks a rule is told, and does not stop the others."""
        taken, refused = [], []
        for place, message in channel.messages():
            if isinstance(message, Refused):
                refused.append(message)
            else:
                try:
                    taken.append(self._feedback.take(message, scope_id=scope_id, at_ms=at_ms))
                except (InputError, StateError, AuthError) as error:
                    refused.append(
                        Refused(place, f"{type(error).__name__}: {message.channel} {message.topic}")
                    )
            channel.done(place)
        return Intake(tuple(taken), tuple(refused))


def is_overdue(received_at_ms: int, handled_at_ms: int | None, at_ms: int) -> bool:
    """Tell whether a message waited, or waits, longer than customers were promised."""
    return (at_ms if handled_at_ms is None else handled_at_ms) - received_at_ms > ANSWER_S * MS_PER_S
