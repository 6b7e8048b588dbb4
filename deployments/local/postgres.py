"""The private PostgreSQL's cluster: made once, with data checksums, two databases and a password per role.

Roles and passwords are set in single-user mode, so no superuser ever listens: it has no password and no socket.
"""

import shutil

from blocks.postgres.cluster import ServerFolder
from blocks.private_files import write_private
from deployments.local.credentials import Credentials
from domain.errors import PermanentError

# Only this machine's own addresses, and only with a password.
ACCESS = "host all all samehost scram-sha-256\n"


def create_cluster(database: ServerFolder, credentials: Credentials) -> None:
    """Make the cluster, or do nothing where it is there; a cluster that was not finished is made anew.

    PermanentError where it was made by another major version of PostgreSQL, or where a program fails.
    """
    if database.data.exists():
        _check_version(database)
        if _read_owner(database) != credentials.stack_id:
            execute_statements(database, database.data.name, _list_passwords(credentials, "ALTER"))
            _write_owner(database, credentials)
        return
    unfinished = database.folder / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    options = ("--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C", "--data-checksums")
    done = database.run("initdb", "-D", unfinished.name, *options, "--no-instructions")
    if done.returncode:
        raise PermanentError(f"initdb failed: {done.stderr.strip()}", "Mend the cause and run `make up` again.")
    (unfinished / "pg_hba.conf").write_text(ACCESS)
    execute_statements(database, unfinished.name, [*_list_passwords(credentials, "CREATE"), *_list_databases()])
    _write_owner(database, credentials)
    unfinished.rename(database.data)


def _list_passwords(credentials: Credentials, verb: str) -> list[str]:
    passwords = {
        "prefect": credentials.prefect_database,
        "terrarium_owner": credentials.ledger_owner,
        "terrarium_app": credentials.ledger_app,
    }
    return [f"{verb} ROLE {role} LOGIN PASSWORD '{password}'" for role, password in passwords.items()]


def _list_databases() -> list[str]:
    """Each role can connect to its own database only."""
    return [
        "CREATE DATABASE prefect OWNER prefect",
        "CREATE DATABASE terrarium OWNER terrarium_owner",
        "REVOKE CONNECT ON DATABASE prefect, terrarium, postgres, template1 FROM PUBLIC",
        "GRANT CONNECT ON DATABASE terrarium TO terrarium_app",
    ]


def execute_statements(database: ServerFolder, folder: str, statements: list[str]) -> None:
    """Run statements in single-user mode (`postgres --single -j`: each ends with a semicolon and an empty line).

    It exits with 0 after a wrong statement too, so its words are read.
    """
    text = "".join(f"{statement};\n\n" for statement in statements)
    done = database.run("postgres", "--single", "-j", "-D", folder, "postgres", text=text)
    if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        faults = [line for line in done.stderr.splitlines() if "ERROR:" in line or "FATAL:" in line]
        raise PermanentError(
            f"PostgreSQL in {database.folder} could not be prepared: {' '.join(faults) or done.returncode}.",
            "Run `make down` and try again; where it stays, remove that folder: its data is lost then.",
        )


def _check_version(database: ServerFolder) -> None:
    made_by = (database.data / "PG_VERSION").read_text().strip()
    version = database.read_version()
    if version.split(".")[0] != made_by:
        raise PermanentError(
            f"The databases in {database.folder} were made by PostgreSQL {made_by}; {database.programs} has {version}.",
            f"Set TERRARIUM_POSTGRES_BIN_DIR to PostgreSQL {made_by}, or move the databases with pg_upgrade.",
        )


def _read_owner(database: ServerFolder) -> str:
    marker = database.folder / "stack"
    return marker.read_text() if marker.exists() else ""


def _write_owner(database: ServerFolder, credentials: Credentials) -> None:
    """Note whose passwords the cluster has: a state folder that was removed comes back with new ones."""
    write_private(database.folder / "stack", credentials.stack_id)
