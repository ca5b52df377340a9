"""Which revision the tables of a database have, and the way from one to another: by Alembic.

A revision is stamped in the table ``alembic_version``. To open a database costs the reading of one row:
Alembic itself is imported where tables are changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from dispatch.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_VERSION: Final = sa.table("alembic_version", sa.column("version_num", sa.String(32)))
VERSION_TABLE: Final = _VERSION.name


@dataclass(frozen=True)
class Migrations:
    """The revisions of one set of tables.

    Parameters
    ----------
    package : str
        Package and folder of the scripts, as Alembic names them: ``dispatch.crm:migrations``.
    head : str
        The newest revision, which this version of the program works with.
    remedy : str
        What to do where a database is older: named in errors.
    """

    package: str
    head: str
    remedy: str

    def check(self, connection: sa.Connection, where: str) -> None:
        """Raise :class:`StoreError` unless the tables are of the newest revision."""
        found = current(connection)
        if found == self.head:
            return
        if found is None:
            raise StoreError(f"{where}: it holds no tables of this program; make them first")
        if found not in self.revisions():
            raise StoreError(
                f"{where}: its tables are of revision {found}, made by a newer version of this program; "
                f"this one knows until {self.head}; use that version"
            )
        raise StoreError(f"{where}: its tables are of revision {found}, needed is {self.head}; {self.remedy}")

    def stamp(self, connection: sa.Connection) -> None:
        """Mark tables that were just made as being of the newest revision."""
        connection.execute(
            sa.schema.CreateTable(
                sa.Table(
                    VERSION_TABLE,
                    sa.MetaData(),
                    sa.Column("version_num", sa.String(32), nullable=False),
                    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
                )
            )
        )
        connection.execute(sa.insert(_VERSION).values(version_num=self.head))

    def revisions(self) -> tuple[str, ...]:
        """Give all revisions, the oldest first."""
        walked = self._scripts().walk_revisions()
        return tuple(reversed([script.revision for script in walked]))

    def upgrade(self, connection: sa.Connection, revision: str = "head") -> None:
        """Bring the tables up to a revision, within the caller's transaction: whole, or not at all.

        Raises
        ------
        StoreError
            They are of a revision that this version does not know.
        """
        from alembic import command

        self._refuse_unknown(connection)
        command.upgrade(self._config(connection), revision)

    def downgrade(self, connection: sa.Connection, revision: str) -> None:
        """Take the tables back to an older revision, ``base`` for none; what only newer ones hold is lost.

        Raises
        ------
        StoreError
            They are of a revision that this version does not know.
        """
        from alembic import command

        self._refuse_unknown(connection)
        command.downgrade(self._config(connection), revision)

    def differences(self, connection: sa.Connection, metadata: sa.MetaData) -> Sequence[Any]:
        """Tell in what the tables of a database differ from those defined; nothing is how it must be."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found: Sequence[Any] = compare_metadata(context, metadata)
        return found

    def _refuse_unknown(self, connection: sa.Connection) -> None:
        found = current(connection)
        if found is not None and found not in self.revisions():
            raise StoreError(
                f"the tables are of revision {found}: this version of the program knows until {self.head}"
            )

    def _config(self, connection: sa.Connection | None = None) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", self.package)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        return config

    def _scripts(self) -> ScriptDirectory:
        from alembic.script import ScriptDirectory

        return ScriptDirectory.from_config(self._config())


def current(connection: sa.Connection) -> str | None:
    """Give the revision of the tables, None where there are none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
    return None if found is None else str(found)
