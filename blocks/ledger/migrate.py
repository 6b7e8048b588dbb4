"""Bringing the schema up to date, as its owner. The role of the application may read and insert.

Only leases and heartbeats, which are no evidence, may it change in place.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, select, text

from blocks.ledger.chain import LOCK
from blocks.ledger.database import create_ledger_engine, translated_errors
from blocks.ledger.revision import read_revision, refuse_newer
from blocks.ledger.schema import SCHEMA, metadata
from blocks.ledger.team_tables import MUTABLE


def migrate(url: str, app_role: str | None = None) -> str:
    """Upgrade the ledger at its owner's `url` and grant `app_role`, which exists, its rights; the revision reached.

    One transaction: it happens wholly or not at all. PermanentError where the database is newer than this code.
    """
    engine = create_ledger_engine(url)
    try:
        with translated_errors(engine), engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
            refuse_newer(read_revision(connection))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            command.upgrade(_configure(connection), "head")
            if app_role:
                _grant(connection, app_role)
            return read_revision(connection)
    finally:
        engine.dispose()


def current_revision(url: str) -> str:
    """The revision of the ledger at `url`, empty where it has no tables yet."""
    engine = create_ledger_engine(url)
    try:
        with translated_errors(engine), engine.connect() as connection:
            return read_revision(connection)
    finally:
        engine.dispose()


def _configure(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _grant(connection: Connection, app_role: str) -> None:
    role = connection.dialect.identifier_preparer.quote(app_role)
    connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"))
    connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}"))
    for table in metadata.sorted_tables:
        connection.execute(text(f"GRANT INSERT ON {SCHEMA}.{table.name} TO {role}"))
    for table in MUTABLE:
        connection.execute(text(f"GRANT UPDATE, DELETE ON {SCHEMA}.{table.name} TO {role}"))
