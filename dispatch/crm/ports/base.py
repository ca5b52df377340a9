"""What ports share: files of lines, and signatures of what goes over a network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dispatch.errors import InputError, StoreError

LEAST_SECRET_BYTES: Final = 16
TOLERANCE_S: Final = 300
"""So far may the clock of a sender be from ours; what is older was perhaps caught and sent again."""
_VERSION: Final = "v1"


class JsonLines:
    """A file to which one JSON object a line is added, and is on the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *records: Mapping[str, Any]) -> None:
        """Add records; :class:`StoreError` where the file cannot be written."""
        text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error})") from error

    def read(self, from_byte: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give the records behind a place, each with the place behind it; a last line without end waits.

        Raises
        ------
        InputError
            A line is no JSON object; its place is named, it is not repeated.
        StoreError
            The file is not there.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(from_byte)
                text = file.read()
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read ({error})") from error
        at = from_byte
        for line in text.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return
            begin, at = at, at + len(line)
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InputError(f"{self.path}: the line at byte {begin} is no JSON object")
            yield at, record


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all; :class:`StoreError` where that cannot be."""
    fresh = path.with_name(f".{path.name}.part")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error})") from error


def sign(secret: bytes, id_: str, timestamp_s: int, body: bytes) -> str:
    """Sign ``id.timestamp.body`` by HMAC-SHA-256, as webhooks do: ``v1,BASE64``."""
    if len(secret) < LEAST_SECRET_BYTES:
        raise InputError(f"secret has {len(secret)} bytes: at least {LEAST_SECRET_BYTES}")
    if not id_ or "." in id_:
        raise InputError("id must be a text without dots: one ends it where it is signed")
    digest = hmac.new(secret, f"{id_}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def is_signed(secret: bytes, id_: str, timestamp_s: int, body: bytes, signatures: str) -> bool:
    """Tell whether one of several signatures, between blanks, is right; several while a secret is changed."""
    right = sign(secret, id_, timestamp_s, body)
    return any(hmac.compare_digest(right.encode(), one.encode()) for one in signatures.split())
