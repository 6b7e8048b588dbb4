"""`python -m tests.write_ledger`: a ledger with every kind of record as SQL, in the words of this revision.

Run it before a new revision is added: tests/integration/test_upgrade.py then migrates what this code wrote.
"""

import subprocess
from pathlib import Path

from blocks.ledger import open_ledger
from blocks.ledger.schema import REVISION
from blocks.postgres_binaries import find_postgres_binaries
from tests.postgres_server import APP_ROLE, TEMPLATE, PostgresServer, run_server
from tests.told_ledger import tell_all

FOLDER = Path(__file__).parent / "integration" / "ledgers"
OPTIONS = ("--data-only", "--column-inserts", "--schema=ledger", "--exclude-table=ledger.alembic_version")


def main() -> None:
    """Write rNNNN.sql."""
    with run_server(find_postgres_binaries()) as server:
        with open_ledger(server.url(TEMPLATE, APP_ROLE)) as ledger:
            tell_all(ledger)
        text = dump_rows(server)
    noise = ("--", "SET ", "SELECT pg_catalog.set_config", "\\")
    lines = [line for line in text.splitlines() if line and not line.startswith(noise)]
    head = f"-- Rows that the code of revision {REVISION} wrote, for the test of the upgrade from there."
    (FOLDER / f"r{REVISION}.sql").write_text("\n".join([head, *lines, ""]))


def dump_rows(server: PostgresServer) -> str:
    """All rows of the ledger as INSERT statements."""
    command = [server.binaries / "pg_dump", *OPTIONS, server.url(TEMPLATE)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
