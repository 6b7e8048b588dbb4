"""Which schema a database has, and whether this code may use it. Revisions are four digits and only grow."""

from sqlalchemy import Connection, func, select, text

from blocks.ledger.schema import REVISION, SCHEMA
from domain.errors import PermanentError

VERSION_TABLE = f"{SCHEMA}.alembic_version"


def read_revision(connection: Connection) -> str:
    """The revision of the database, empty where it has no ledger yet."""
    if connection.execute(select(func.to_regclass(VERSION_TABLE))).scalar() is None:
        return ""
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() or ""  # noqa: S608 - a constant


def refuse_older(found: str) -> None:
    """PermanentError for a schema that lacks what this code needs."""
    if found < REVISION:
        raise PermanentError(
            f"The ledger's schema is {found or 'not there'}, this version needs {REVISION}.",
            "`make up` brings it up to date.",
        )


def refuse_newer(found: str) -> None:
    """PermanentError for a schema that a newer version wrote."""
    if found > REVISION:
        raise PermanentError(
            f"The ledger's schema is {found}, newer than the {REVISION} of this version.",
            "Run the version of Terrarium that wrote it, or a newer one: a schema does not go back.",
        )
