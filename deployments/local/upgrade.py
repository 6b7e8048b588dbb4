"""Before a newer version changes the ledger's schema: a dump of it; after that: the chain is still whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from blocks.ledger import open_ledger
from blocks.ledger.migrate import current_revision, migrate
from blocks.ledger.schema import REVISION
from blocks.postgres.dump import dump_database
from domain.errors import PermanentError

#: A migration whose chain was not found whole yet: the next `make up` looks again, and does not go on either.
UNCHECKED = "unchecked"
Report = Callable[[str], None]


def upgrade_ledger(url: str, app_role: str, programs: Path, folder: Path, kept: int, report: Report) -> Path | None:
    """Bring the ledger's schema up to date as its owner; the dump from before, None where there was nothing to dump.

    PermanentError where the chain is not whole afterwards, or the ledger is newer than this code.
    """
    found, unchecked = current_revision(url), folder / UNCHECKED
    if found in ("", REVISION) or found > REVISION:
        migrate(url, app_role)  # it refuses a newer one
        if not unchecked.exists():
            return None
        dump = Path(unchecked.read_text())
    else:
        folder.mkdir(mode=0o700, exist_ok=True)
        dump = folder / f"ledger-{found}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.dump"
        dump_database(programs, url, dump)
        unchecked.write_text(str(dump))
        migrate(url, app_role)
    events = _check_chain(url, dump)
    unchecked.unlink()
    for old in sorted(folder.glob("ledger-*.dump"), key=_read_time)[:-kept]:
        old.unlink()
    report(f"The ledger was migrated to {REVISION}, {events} events are whole. Before: {dump}")
    return dump


def _check_chain(url: str, dump: Path) -> int:
    """How many events the chain has; PermanentError where it is not whole."""
    with open_ledger(url) as ledger:
        verdict = ledger.judge(())
    if verdict.found:
        raise PermanentError(
            f"The ledger was migrated to {REVISION}, and its chain of evidence is broken: record {verdict.found.seq} "
            f"was {verdict.found.fault}.",
            f"`terrarium evidence verify` tells more. The ledger from before the migration is in {dump}.",
        )
    return verdict.events


def _read_time(dump: Path) -> str:
    return dump.stem.rpartition("-")[2]
