"""Before a newer version changes the ledger's schema: a dump of it; after that: the chain is still whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from blocks.ledger import open_ledger
from blocks.ledger.migrate import current_revision, migrate
from blocks.ledger.schema import REVISION
from blocks.postgres_dump import dump_database
from domain.errors import PermanentError

Report = Callable[[str], None]


def upgrade_ledger(url: str, app_role: str, programs: Path, folder: Path, kept: int, report: Report) -> Path | None:
    """Bring the ledger's schema up to date as its owner; the dump from before, None where there was nothing to dump.

    PermanentError where the chain is not whole afterwards, or the ledger is newer than this code.
    """
    found = current_revision(url)
    if found in ("", REVISION) or found > REVISION:
        migrate(url, app_role)  # it refuses a newer one
        return None
    folder.mkdir(mode=0o700, exist_ok=True)
    dump = folder / f"ledger-{found}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.dump"
    dump_database(programs, url, dump)
    migrate(url, app_role)
    with open_ledger(url) as ledger:
        verdict = ledger.judge(())
    if verdict.found:
        raise PermanentError(
            f"The ledger was migrated from {found} to {REVISION}, and its chain of evidence is broken: record "
            f"{verdict.found.seq} was {verdict.found.fault}.",
            f"`terrarium evidence verify` tells more. The ledger from before the migration is in {dump}.",
        )
    for old in sorted(folder.glob("ledger-*.dump"), key=_read_time)[:-kept]:
        old.unlink()
    report(f"The ledger was migrated from {found} to {REVISION}, {verdict.events} events are whole. Before: {dump}")
    return dump


def _read_time(dump: Path) -> str:
    return dump.stem.rpartition("-")[2]
