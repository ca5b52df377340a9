"""Archives: all rows of tables in one signed file, which no kind of database is needed to read.

The file is a zip of one Parquet file a table, with a manifest: how many rows each has, its SHA-256, and facts
of the caller's. The manifest is signed, so that whoever changes a table must have the keys.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dispatch.errors import InputError, StoreError
from dispatch.store import bulk
from dispatch.store.chain import canonical
from dispatch.store.sealing import Keyring, sync_folder

_UNREADABLE: Final = (OSError, EOFError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError)
"""What the library raises about a zip that is none, or that somebody made for it to fail."""

OnProgress = Callable[[str, int, int], None]
"""Told what is done, how many rows of how many."""

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_SIGNATURE: Final = "manifest.sig"
_AT_ONCE: Final = 50_000
_OWNER_ONLY: Final = 0o600
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest instant that a zip can tell: equal rows make equal files."""


@dataclass(frozen=True)
class Member:
    """One table of an archive."""

    table: str
    rows: int
    sha256: str

    @property
    def file(self) -> str:
        """Its name within the archive."""
        return f"{self.table}.parquet"


@dataclass(frozen=True)
class Manifest:
    """What an archive holds."""

    members: tuple[Member, ...]
    facts: Mapping[str, Any]
    """what the caller told: plain values"""

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(member.rows for member in self.members)

    def text(self) -> bytes:
        """Give the text that is signed."""
        members = [vars(member) for member in self.members]
        return canonical({"format": FORMAT, "members": members, "facts": dict(self.facts)})


def write_archive(
    path: Path,
    connection: sa.Connection,
    tables: Sequence[sa.Table],
    keyring: Keyring,
    facts: Mapping[str, Any],
    on_progress: OnProgress | None = None,
) -> Manifest:
    """Write all rows of tables to a new file: whole, on the disk, for the owner's eyes only; or not at all.

    Parameters
    ----------
    path : Path
    connection : sqlalchemy.Connection
        In a transaction that sees one state of the database.
    tables : sequence of sqlalchemy.Table
        In a sequence in which their rows can be put in again.
    keyring : Keyring
        Signs.
    facts : mapping
        Plain values, kept in the manifest.
    on_progress : callable, optional

    Raises
    ------
    InputError
        There is such a file, or its folder is not there.
    StoreError
        It cannot be written.
    """
    counts = [connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]
    total, done, members = sum(counts), 0, []
    with _new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        for table in tables:

            def told(rows: int, before: int = done, name: str = table.name) -> None:
                if on_progress is not None:
                    on_progress(name, before + rows, total)

            members.append(_pack(packed, connection, table, told))
            done += members[-1].rows
        manifest = Manifest(tuple(members), facts)
        text = manifest.text()
        packed.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), text)
        packed.writestr(zipfile.ZipInfo(_SIGNATURE, _EPOCH), keyring.sign(text).hex())
    return manifest


class Archive:
    """An archive that was checked: it is whole, and as it was written by who has these keys.

    Raises
    ------
    StoreError
        It is none, was cut or changed, or is signed by other keys; the member is named.
    """

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as packed:
                text, signature = (_stored(packed, name) for name in (_MANIFEST, _SIGNATURE))
        except _UNREADABLE as error:
            raise StoreError(f"{path}: no backup, or its end was cut ({error})") from error
        self._check_signature(text, signature, keyring)
        self.manifest = self._read(text)
        for member in self.manifest.members:
            self._bytes(member)

    def load(self, connection: sa.Connection, table: sa.Table, on_rows: Callable[[int], None]) -> int:
        """Put the rows of a table into an empty one; gives how many."""
        member = next((one for one in self.manifest.members if one.table == table.name), None)
        if member is None:
            return 0
        file, done = pq.ParquetFile(io.BytesIO(self._bytes(member))), 0
        for batch in file.iter_batches(_AT_ONCE):
            columns = {
                name: column.to_numpy() if _plain(column) else column.to_pylist()
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }
            done += bulk.insert(connection, table, columns)
            on_rows(done)
        if done != member.rows:
            raise StoreError(f"{self.path}: {member.file} holds {done} rows, the manifest says {member.rows}")
        return done

    def _bytes(self, member: Member) -> bytes:
        """Read a member and hold it against its digest."""
        try:
            with zipfile.ZipFile(self.path) as packed:
                found = _stored(packed, member.file)
        except _UNREADABLE as error:
            raise StoreError(f"{self.path}: {member.file} is damaged or missing ({error})") from error
        if hashlib.sha256(found).hexdigest() != member.sha256:
            raise StoreError(f"{self.path}: {member.file} is damaged: its SHA-256 is another one")
        return found

    def _check_signature(self, text: bytes, signature: bytes, keyring: Keyring) -> None:
        try:
            key = Ed25519PublicKey.from_public_bytes(keyring.public_key())
            key.verify(bytes.fromhex(signature.decode()), text)
        except (InvalidSignature, ValueError) as error:
            raise StoreError(
                f"{self.path}: {_MANIFEST} is damaged, or was signed by other keys than the given ones"
            ) from error

    def _read(self, text: bytes) -> Manifest:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise StoreError(f"{self.path}: its format is {told['format']}, this version reads {FORMAT}")
        return Manifest(tuple(Member(**member) for member in told["members"]), told["facts"])


def follow_ids(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Let ids that count up by themselves go on after the highest: PostgreSQL counts apart from the rows."""
    for table in tables:
        if len(table.primary_key.columns) == 1 and isinstance(
            next(iter(table.primary_key.columns)).type, sa.Integer
        ):
            bulk.count_on(connection, table)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes its name once all is on the disk, and vanishes where anything raises."""
    if path.exists():
        raise InputError(f"path is {str(path)!r}: there is such a file already; a backup replaces none")
    if not path.absolute().parent.is_dir():
        raise InputError(f"path is {str(path)!r}: its folder is not there")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error})") from error
    finally:
        fresh.unlink(missing_ok=True)


def _pack(
    packed: zipfile.ZipFile, connection: sa.Connection, table: sa.Table, told: Callable[[int], None]
) -> Member:
    """Write one table, some rows at a time."""
    schema = pa.schema([pa.field(column.name, _arrow_type(column.type)) for column in table.columns])
    # JSON goes as the text that it is: null of JSON and no value at all stay apart.
    columns = [
        sa.cast(column, sa.Text).label(column.name) if isinstance(column.type, sa.JSON) else column
        for column in table.columns
    ]
    query = sa.select(*columns).order_by(*table.primary_key.columns).execution_options(yield_per=_AT_ONCE)
    rows = 0
    name = f"{table.name}.parquet"
    with packed.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as member:
        hashing = _Hashing(member)
        with pq.ParquetWriter(hashing, schema, compression="zstd") as writer:
            for part in connection.execute(query).partitions():
                arrays = [
                    pa.array(values, field.type)
                    for values, field in zip(zip(*part, strict=True), schema, strict=True)
                ]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                rows += len(part)
                told(rows)
    return Member(table.name, rows, hashing.digest.hexdigest())


class _Hashing(io.RawIOBase):
    """Hands on what is written, and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file, self.digest = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)


def _arrow_type(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    if isinstance(kind, sa.String | sa.JSON):
        return pa.string()
    raise InputError(f"a column is of the type {kind!r}: archives know none such")


def _stored(packed: zipfile.ZipFile, name: str) -> bytes:
    """Read a member as it lies in the file: ours are not compressed, others' might be without end."""
    told = packed.getinfo(name)
    if told.compress_type != zipfile.ZIP_STORED or told.file_size != told.compress_size:
        raise zipfile.BadZipFile(f"{name} is compressed, which those of a backup never are")
    return packed.read(told)


def _plain(column: pa.Array) -> bool:
    """Tell whether a column is of whole numbers only: these need no objects on the way."""
    return bool(pa.types.is_integer(column.type)) and column.null_count == 0
