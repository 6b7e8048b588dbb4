"""The ledger's database: its schema and revisions, and its errors as words that say what to do."""

import signal
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, text

from blocks.ledger import Ledger, open_ledger
from blocks.ledger.database import create_ledger_engine, translated_errors
from blocks.ledger.migrate import current_revision, migrate
from blocks.ledger.schema import REVISION, SCHEMA, metadata
from domain.errors import PermanentError, TemporaryError
from tests.postgres_server import APP_ROLE, PostgresServer


@pytest.fixture
def engine(postgres: PostgresServer, ledger_database: str) -> Iterator[Engine]:
    """An engine of the owner on an empty ledger."""
    engine = create_ledger_engine(postgres.url(ledger_database))
    yield engine
    engine.dispose()


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database without a ledger."""
    name = postgres.create_database()
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _is_ours(_object: object, _name: str | None, kind: str, *_rest: object) -> bool:
    return kind != "table" or getattr(_object, "schema", None) == SCHEMA


def test_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    """The migrated schema has the tables, columns, keys and indexes that the code declares."""
    with engine.connect() as connection:
        options = {"include_schemas": True, "version_table_schema": SCHEMA, "include_object": _is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_migration_is_safe_to_repeat(postgres: PostgresServer, empty_database: str) -> None:
    """An empty database gets the newest revision; the second time nothing changes and the data stays."""
    url = postgres.url(empty_database)
    assert current_revision(url) == ""
    assert migrate(url, app_role=APP_ROLE) == REVISION
    with open_ledger(postgres.url(empty_database, APP_ROLE)) as ledger:
        ledger.add_spec("dev", "{}", "", "ada")
    assert migrate(url, app_role=APP_ROLE) == REVISION == current_revision(url)
    with open_ledger(postgres.url(empty_database, APP_ROLE)) as ledger:
        assert ledger.read_spec("dev").version == 1


def test_older_database_is_refused(postgres: PostgresServer, empty_database: str) -> None:
    """A database without the ledger's tables is refused when it is opened, with the way to make them."""
    with pytest.raises(PermanentError, match=rf"schema is not there, this version needs {REVISION}\. `make up`"):
        open_ledger(postgres.url(empty_database))
    with pytest.raises(PermanentError, match=r"Its tables are not there: `make up`"):
        Ledger(postgres.url(empty_database)).list_runs()


def test_newer_database_is_refused(postgres: PostgresServer, engine: Engine, ledger_database: str) -> None:
    """A database that a newer version wrote is neither opened nor migrated."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE ledger.alembic_version SET version_num = '9999'"))
    for use in (migrate, open_ledger):
        with pytest.raises(PermanentError, match=f"9999, newer than the {REVISION} of this version"):
            use(postgres.url(ledger_database))


def test_wrong_login_is_permanent(postgres: PostgresServer, ledger_database: str) -> None:
    """A wrong password, role or database is told once, without the password."""
    good = postgres.url(ledger_database, APP_ROLE)
    wrong = good.replace(postgres.password, "hunter2")
    for url in (wrong, good.replace(APP_ROLE, "nobody"), good.replace(ledger_database, "nowhere")):
        with pytest.raises(PermanentError, match="Compare the database URL of the settings") as caught:
            open_ledger(url)
        assert "hunter2" not in str(caught.value)
        assert postgres.password not in str(caught.value)


@pytest.mark.parametrize("url", ["", "hunter2", "postgresql://ada:hunter2@localhost:port/terrarium"])
def test_wrong_url_is_told_without_it(url: str) -> None:
    """What is no database URL is refused with the setting to correct, and is not repeated: it may hold a password."""
    with pytest.raises(PermanentError, match="TERRARIUM_LEDGER_URL") as caught:
        Ledger(url)
    assert "hunter2" not in str(caught.value)


def test_server_that_is_away_is_temporary(postgres: PostgresServer, ledger: Ledger) -> None:
    """While the server restarts the ledger asks to try again; afterwards the same ledger goes on by itself."""
    ledger.add_spec("dev", "{}", "", "ada")
    postgres.stop("immediate")
    try:
        with pytest.raises(TemporaryError, match=r"did not answer.*make up") as caught:
            ledger.read_spec("dev")
        assert postgres.password not in str(caught.value)
    finally:
        postgres.start()
    assert ledger.read_spec("dev").version == 1
    assert ledger.add_spec("dev", "[]", "", "ada") == 2


@pytest.mark.parametrize(
    "state", ["deadlock_detected", "serialization_failure", "too_many_connections", "cannot_connect_now"]
)
def test_passing_trouble_is_temporary(engine: Engine, state: str) -> None:
    """A deadlock, a conflict, a full or a starting server pass."""
    statement = text(f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{state}'; END $$")
    with pytest.raises(TemporaryError, match="trouble"), translated_errors(engine), engine.begin() as connection:
        connection.execute(statement)


def test_ended_connection_is_temporary(engine: Engine) -> None:
    """A connection that the administrator ends in the middle of a transaction is tried again."""
    with pytest.raises(TemporaryError), translated_errors(engine), engine.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def test_writer_that_hangs_is_temporary(engine: Engine, ledger: Ledger) -> None:
    """A writer does not wait for ever for another one that holds the chain."""
    assert ledger.list_events() == []
    wait = text("SET LOCAL lock_timeout = '50ms'; SELECT pg_advisory_xact_lock(1)")
    with engine.begin() as holder:
        holder.execute(text("SELECT pg_advisory_xact_lock(1)"))
        with pytest.raises(TemporaryError, match="lock timeout"), translated_errors(engine), engine.begin() as waiting:
            waiting.execute(wait)


def test_refused_change_says_what_to_do(engine: Engine) -> None:
    """Who tries to change a record is told that the ledger is corrected by adding."""
    refused = pytest.raises(PermanentError, match=r"ledger\.spec is append-only: DELETE is refused.*adding a newer one")
    with refused, translated_errors(engine), engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger.spec"))


class Told(BaseException):
    """What a signal handler raises."""


def test_a_signal_is_not_hidden_by_the_error_that_follows_from_it(engine: Engine) -> None:
    """The driver complains of the state that the signal left (seen in the ping of the pool): the run is cancelled."""

    def ping() -> None:
        with translated_errors(engine), engine.connect() as connection:
            try:
                raise Told
            except Told:
                connection.execute(text("SELECT nonsense"))

    with pytest.raises(Told):
        ping()


@pytest.mark.parametrize("moment", ["reading", "writing", "committing"])
def test_a_signal_in_the_middle_of_a_statement_costs_the_connection_alone(ledger: Ledger, moment: str) -> None:
    """It is raised as it is, and the ledger goes on with another connection: a cancelled run records its end."""

    def tell(*_: object) -> None:
        raise Told

    def wait(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(30)"))

    known = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        if moment == "committing":
            event.listen(ledger._engine, "commit", wait)
        with pytest.raises(Told), ledger._read() if moment == "reading" else ledger._write() as connection:
            connection.execute(text("SELECT 1")) if moment == "committing" else wait(connection)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, known)
        if moment == "committing":
            event.remove(ledger._engine, "commit", wait)
    assert ledger.add_spec("dev", "{}", "", "ada") == 1
    assert ledger.list_environments() == []
