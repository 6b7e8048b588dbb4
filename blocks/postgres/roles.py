"""The roles of a pair and the database that they meet in. Made on the primary; the standby has what the primary has."""

from psycopg import sql

from blocks.postgres.pair_files import Pair
from blocks.postgres.session import Session, connect
from domain.pair import DATABASE, Node, Role

#: What each role is, beside its password.
ATTRIBUTES: dict[Role, str] = {
    "app": "LOGIN",
    "replicator": "LOGIN REPLICATION",
    "backup": "LOGIN REPLICATION",
    "probe": "LOGIN",
}
BACKUP_FUNCTIONS = {
    14: ("pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"),
    15: ("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"),
}
SHARED_FUNCTIONS = ("pg_switch_wal()", "pg_create_restore_point(text)")


def create_roles(pair: Pair, primary: Node) -> None:
    """Every role with its password, the database, and what each may do there. Again: the same."""
    with connect(pair, at=primary, database="postgres") as session:
        for role, attributes in ATTRIBUTES.items():
            _create_role(session, role, attributes, pair.password(role))
        session.execute("GRANT pg_read_all_data, pg_read_all_settings, pg_monitor TO backup")
        if not session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            session.execute(f"CREATE DATABASE {DATABASE} OWNER app")
        session.execute(f"REVOKE CONNECT ON DATABASE {DATABASE}, postgres, template1 FROM PUBLIC")
        session.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO backup, probe")
        session.execute("GRANT CONNECT ON DATABASE postgres TO backup")
    for database in (DATABASE, "postgres"):
        _grant_backup(pair, primary, database)
    with connect(pair, at=primary) as session:
        session.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        session.execute("GRANT USAGE, CREATE ON SCHEMA public TO app")
        session.execute("CREATE SCHEMA IF NOT EXISTS probe AUTHORIZATION probe")


def _create_role(session: Session, role: Role, attributes: str, password: str) -> None:
    exists = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    statement = sql.SQL("{verb} ROLE {role} {attributes} PASSWORD {password}").format(
        verb=sql.SQL("ALTER" if exists else "CREATE"),
        role=sql.Identifier(role),
        attributes=sql.SQL(attributes),
        password=sql.Literal(password),
    )
    session.execute(statement)


def _grant_backup(pair: Pair, primary: Node, database: str) -> None:
    """What a physical backup calls without being a superuser."""
    with connect(pair, at=primary, database=database) as session:
        version = session.info.server_version // 10000
        for function in (*BACKUP_FUNCTIONS[min(version, max(BACKUP_FUNCTIONS))], *SHARED_FUNCTIONS):
            session.execute(f"GRANT EXECUTE ON FUNCTION {function} TO backup")
