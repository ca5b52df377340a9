"""Sealing of single fields: authenticated encryption, keys sealed by keys, hashes to look up by.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; what is sealed is bound to its place by a label, so
that a sealed value moved to another row or field does not open. Look-up hashes are HMAC-SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dispatch.errors import InputError, StoreError

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
_FORMAT: Final = 1


def new_key() -> bytes:
    """Give a random key of 256 bits."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, label: str) -> bytes:
    """Seal bytes under a key; `label` must be told again to open them."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, label.encode())


def seal_many(key: bytes, labels: Iterable[str], plains: Sequence[bytes]) -> list[bytes]:
    """Seal values (n,), each with its label, under one key."""
    encrypt, nonces = AESGCM(key).encrypt, _nonces(len(plains))
    return [
        nonce + encrypt(nonce, plain, label.encode())
        for nonce, label, plain in zip(nonces, labels, plains, strict=True)
    ]


def seal_table(
    keys: Iterable[bytes], prefixes: Sequence[str], columns: Mapping[str, Sequence[str | None]]
) -> dict[str, list[bytes | None]]:
    """Seal columns of texts, each row under a key of its own; the label is the row's prefix and the name.

    Parameters
    ----------
    keys, prefixes
        (n,) of the rows.
    columns : mapping of str to sequence
        (n,) each; None stays None.
    """
    sealed: dict[str, list[bytes | None]] = {name: [] for name in columns}
    if not columns:
        return sealed
    fields = [(name, sealed[name].append) for name in columns]
    nonces = iter(_nonces(len(prefixes) * len(columns)))
    for key, prefix, values in zip(keys, prefixes, zip(*columns.values(), strict=True), strict=True):
        encrypt = AESGCM(key).encrypt
        for (name, append), value in zip(fields, values, strict=True):
            if value is None:
                append(None)
                continue
            nonce = next(nonces)
            append(nonce + encrypt(nonce, value.encode(), f"{prefix}{name}".encode()))
    return sealed


def _nonces(num: int) -> list[bytes]:
    """Give random nonces (num,) by one call of the system."""
    block = os.urandom(NONCE_BYTES * num)
    return [block[first : first + NONCE_BYTES] for first in range(0, len(block), NONCE_BYTES)]


def unseal(key: bytes, sealed: bytes, label: str) -> bytes:
    """Open what was sealed; :class:`StoreError` where key, label or a single bit is another one."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label.encode())
    except (InvalidTag, ValueError) as error:
        raise StoreError(f"{label}: cannot be opened: the key is another one, or it was changed") from error


@dataclass(frozen=True)
class Keyring:
    """The keys that a database does not hold; they live in a file of their own, never in a backup.

    Parameters
    ----------
    masters : mapping of int to bytes
        Master keys by version; the highest seals new persons' keys, the others still open.
    lookup : bytes
        Key of look-up hashes.
    signing : bytes
        Ed25519 private key, signs heads of logs.
    """

    masters: Mapping[int, bytes]
    lookup: bytes
    signing: bytes

    @classmethod
    def new(cls) -> Keyring:
        """Make fresh keys."""
        return cls({1: new_key()}, new_key(), Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def version(self) -> int:
        """Of the master key that seals now."""
        return max(self.masters)

    def rotated(self) -> Keyring:
        """Give the same keys with a new master key; persons' keys must be sealed anew by it."""
        return Keyring({**self.masters, self.version + 1: new_key()}, self.lookup, self.signing)

    def only_latest(self) -> Keyring:
        """Give the same keys without older master keys: once nothing is sealed by them."""
        return Keyring({self.version: self.masters[self.version]}, self.lookup, self.signing)

    def find_by(self, field: str, value: str) -> bytes:
        """Hash a value to look it up by; equal ones of a field have equal hashes."""
        return hmac.new(self.lookup, f"{field}\0{value}".encode(), hashlib.sha256).digest()

    def find_by_many(self, field: str, values: Iterable[str | None]) -> list[bytes | None]:
        """Hash many values (n,) as :meth:`find_by` does each; None stays None."""
        # HMAC written out (RFC 2104): the module's own objects take four times as long a value.
        block = self.lookup.ljust(hashlib.sha256().block_size, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + f"{field}\0".encode())
        outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        hashes: list[bytes | None] = []
        for value in values:
            if value is None:
                hashes.append(None)
                continue
            first, second = inner.copy(), outer.copy()
            first.update(value.encode())
            second.update(first.digest())
            hashes.append(second.digest())
        return hashes

    def sign(self, message: bytes) -> bytes:
        """Sign bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.signing).sign(message)

    def public_key(self) -> bytes:
        """Give the key that checks signatures: (32,) raw bytes, to be kept where nobody can change it."""
        return Ed25519PrivateKey.from_private_bytes(self.signing).public_key().public_bytes_raw()

    def save(self, path: Path, *, replaces: bool = True) -> None:
        """Write the keys for the owner's eyes only; as a whole or not at all.

        Raises
        ------
        FileExistsError
            There is such a file, and it must not be replaced.
        StoreError
            It cannot be written.
        """
        told = {
            "format": _FORMAT,
            "masters": {str(version): key.hex() for version, key in self.masters.items()},
            "lookup": self.lookup.hex(),
            "signing": self.signing.hex(),
        }
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if replaces else path
        try:
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(told, file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(path)
            except BaseException:
                fresh.unlink(missing_ok=True)  # half a keyring is none, and a whole one lies about nowhere
                raise
            sync_folder(path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise StoreError(f"{path}: the keys cannot be written ({error})") from error

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read the keys.

        Raises
        ------
        StoreError
            The file is not there, or not as :meth:`save` wrote it.
        InputError
            Others than its owner may read it.
        """
        try:
            mode, told = path.stat().st_mode, json.loads(path.read_text())
            masters = {int(version): _key_of(key) for version, key in told["masters"].items()}
            found = cls(masters, _key_of(told["lookup"]), _key_of(told["signing"]))
            if told["format"] != _FORMAT or not masters:
                raise ValueError(f"format {told['format']!r}, {len(masters)} master keys")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{path}: no keys can be read from it ({error}); nothing opens without"
            ) from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InputError(f"{path}: others may read these keys; set its mode to 600")
        return found


def _key_of(text: str) -> bytes:
    """Read a key; a shorter one would seal as well, and be guessed sooner."""
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes")
    return key


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of a folder outlive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
