"""Sessions on the servers of a pair, and libpq's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from blocks.postgres.pair_files import Pair
from domain.errors import PermanentError, TemporaryError
from domain.pair import DATABASE, SUPERUSER, Node, Role

Session = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def connect(pair: Pair, role: Role = SUPERUSER, at: Node | None = None, database: str = DATABASE) -> Iterator[Session]:
    """A session that commits each statement, through the gateway or at one server; TLS, and the certificate checked.

    TemporaryError where nobody answers, PermanentError for what PostgreSQL refuses.
    """
    with translate_errors(f"{pair.environment}: database pair, {f'server {at}' if at else 'gateway'}"):
        options = pair.conninfo(role, at, database)
        with psycopg.connect(**options, autocommit=True, application_name="terrarium") as session:
            yield session


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Raise psycopg's errors as ours; no message of theirs holds a password."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise TemporaryError(
            f"{what} did not answer: {_first_line(error)}", "`make status` shows what runs; it is tried again."
        ) from error
    except psycopg.Error as error:
        raise PermanentError(f"{what} refused: {_first_line(error)}", "Mend what PostgreSQL names.") from error


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
