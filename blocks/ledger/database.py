"""The connection: a small pool, and every database error translated into one that says whether waiting helps.

The URL's password stands in no message; neither do the values of a failed statement.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from blocks.ledger.chain import ChainWriter
from domain.chain import canonical_json
from domain.errors import PermanentError, TemporaryError, TerrariumError

SESSION = "-c timezone=UTC -c jit=off -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
CONNECT_TIMEOUT_SECONDS = 5
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, rollback, resources, lock, operator
WAITING_HELPS = ("08", "40", "53", "55P03", "57")
# A refused login carries no SQLSTATE, only the server's text.
LOGIN_REFUSED = re.compile(r"password authentication failed|does not exist|no pg_hba\.conf entry|no password supplied")


def create_ledger_engine(url: str) -> Engine:
    """An engine on psycopg 3 for a `postgresql://` URL: up to 8 connections, each checked before it is used."""
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise PermanentError(
            "The ledger's address is not a database URL.",  # which one is not told: it may hold a password
            "`make up` gives the processes it starts TERRARIUM_LEDGER_URL; elsewhere set it: postgresql://…",
        ) from None
    return create_engine(
        parsed,
        pool_size=2,
        max_overflow=6,
        pool_timeout=20,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=canonical_json,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": SESSION, "application_name": "terrarium"},
    )


@contextmanager
def translated_errors(engine: Engine) -> Iterator[None]:
    """Errors of the database become TemporaryError or PermanentError."""
    try:
        yield
    except PoolTimeout as error:
        raise TemporaryError(
            f"All connections to the ledger at {_describe(engine)} are busy.",
            "It is tried again; if it stays so, look for a run that hangs.",
        ) from error
    except DBAPIError as error:
        translated, signal = classify_error(error, _describe(engine)), _find_signal(error)
        if signal and isinstance(translated, PermanentError):
            raise signal from None
        raise translated from error
    except SQLAlchemyError as error:
        raise PermanentError(
            f"The ledger at {_describe(engine)} answered in a way this version does not understand: {error}.",
            "Compare the versions with `terrarium doctor`.",
        ) from error


def classify_error(error: DBAPIError, where: str) -> TerrariumError:
    """TemporaryError where the server was away, restarting, full or deadlocked; PermanentError for everything else."""
    cause = error.orig
    state = (cause.sqlstate if isinstance(cause, psycopg.Error) else None) or ""
    text = _first_line(cause)
    is_away = error.connection_invalidated or (not state and isinstance(cause, psycopg.OperationalError))
    if state.startswith(WAITING_HELPS) or (is_away and not LOGIN_REFUSED.search(text)):
        return TemporaryError(
            f"The ledger's database at {where} did not answer: {text}.",
            "It is tried again; `make status` shows whether PostgreSQL runs, `make up` starts it.",
        )
    return PermanentError(f"The ledger's database at {where} refused: {text}.", _find_resolution(state))


def _find_signal(error: BaseException | None) -> BaseException | None:
    """The cancel or SIGTERM behind an error: one that interrupts the driver leaves a state that it complains of."""
    while error is not None and isinstance(error, Exception):
        error = error.__cause__ or error.__context__
    return error


def _find_resolution(state: str) -> str:
    if state.startswith("23"):
        return "The record contradicts one that is there, or names one that is not: read that one first."
    if state == "42501":
        return "The ledger is append-only: its role may only read and insert. Correct a record by adding a newer one."
    if state.startswith(("42P01", "3F")):
        return "Its tables are not there: `make up` creates them."
    if not state:
        return "Compare the database URL of the settings with the server: role, password and database name."
    return "See docs/troubleshooting.md, “The ledger's database refused”."


def _first_line(cause: BaseException | None) -> str:
    primary = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return primary or next(iter(str(cause).strip().splitlines()), "no reason given").rstrip(".")


def _describe(engine: Engine) -> str:
    return f"{engine.url.host or 'the local socket'}:{engine.url.port or 5432}/{engine.url.database}"


class Database:
    """What every part of the ledger stands on: transactions that read, and transactions that append to the chain.

    Thread-safe. Not fork-safe: open it after a fork. A server that is away when a transaction begins is tried again for
    `patience_seconds`; one that goes away within a transaction is an error, for nobody knows what became of that.
    """

    def __init__(self, url: str, patience_seconds: float = 0) -> None:
        self._engine = create_ledger_engine(url)
        self._patience_seconds = patience_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pool; the ledger opens it again when it is used again."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._connect() as connection, translated_errors(self._engine):
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._read() as connection, connection.begin():
            yield connection

    @contextmanager
    def _append(self) -> Iterator[ChainWriter]:
        with self._write() as connection:
            yield ChainWriter(connection)

    def _connect(self) -> Connection:
        tries = Retrying(
            retry=retry_if_exception_type(TemporaryError),
            stop=stop_after_delay(self._patience_seconds),
            wait=wait_exponential_jitter(multiplier=0.1, max=2),
            reraise=True,
        )
        return tries(self._connect_once)

    def _connect_once(self) -> Connection:
        with translated_errors(self._engine):
            return self._engine.connect()
