"""A chain of hashes over a log: whoever changes, removes or cuts an entry is found out.

A bare chain can be written anew from any entry on; therefore its head is signed and kept elsewhere
(Schneier and Kelsey, Secure audit logs to support computer forensics, 1999; without forward-secure keys).
"""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dispatch.errors import StoreError
from dispatch.store.sealing import Keyring

START: Final = bytes(32)
"""The hash before the first entry."""


def canonical(entry: Any) -> bytes:
    """Give the one JSON text of an entry that its hash is made of; numpy's whole numbers are plain ones."""
    text = json.dumps(
        entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=operator.index
    )
    return text.encode()


def link(before: bytes, entry: bytes) -> bytes:
    """Give the hash of an entry after the one before it."""
    return hashlib.sha256(before + entry).digest()


@dataclass(frozen=True)
class Head:
    """How far a log went at an instant, signed."""

    seq: int
    """of its last entry, 0 for none"""
    hash: bytes
    at_ms: int
    signature: bytes
    public_key: bytes

    @classmethod
    def signed(cls, keyring: Keyring, seq: int, hash_: bytes, at_ms: int) -> Head:
        """Sign how far a log went."""
        return cls(seq, hash_, at_ms, keyring.sign(_message(seq, hash_, at_ms)), keyring.public_key())

    def check(self, public_key: bytes | None = None) -> None:
        """Raise :class:`StoreError` unless the signature is right, by the given key where one is given."""
        if public_key is not None and public_key != self.public_key:
            raise StoreError("the head of the log is signed by another key than the one that was told")
        try:
            key = Ed25519PublicKey.from_public_bytes(self.public_key)
            key.verify(self.signature, _message(self.seq, self.hash, self.at_ms))
        except (InvalidSignature, ValueError) as error:
            raise StoreError("the head of the log is not what was signed: it was changed") from error

    def save(self, path: Path) -> None:
        """Write it as JSON, for another place than the database's; :class:`StoreError` where it cannot be."""
        told = {name: v.hex() if isinstance(v, bytes) else v for name, v in vars(self).items()}
        try:
            path.write_text(json.dumps(told, indent=1))
        except OSError as error:
            raise StoreError(f"{path}: it cannot be written ({error})") from error

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read it; :class:`StoreError` if the file is none."""
        try:
            told = json.loads(path.read_text())
            parts = (bytes.fromhex(told[name]) for name in ("hash", "signature", "public_key"))
            hash_, signature, public_key = parts
            return cls(int(told["seq"]), hash_, int(told["at_ms"]), signature, public_key)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: no head of a log ({error})") from error


def _message(seq: int, hash_: bytes, at_ms: int) -> bytes:
    return canonical({"seq": seq, "hash": hash_.hex(), "at_ms": at_ms})
