"""The ledger: what should exist, who asked, what was done and how it ended, as records that are only ever added."""

from blocks.ledger.approvals import Approvals
from blocks.ledger.backups import Backups
from blocks.ledger.environments import Environments, Generations, Overlays
from blocks.ledger.evidence import Evidence
from blocks.ledger.holds import Holds
from blocks.ledger.journal import Journal
from blocks.ledger.leases import Leases
from blocks.ledger.measures import Measuring
from blocks.ledger.modules import Modules, Replacements
from blocks.ledger.revision import read_revision, refuse_newer, refuse_older
from blocks.ledger.runs import Runs, Steps
from blocks.ledger.specs import Plans, Requests, Specs
from blocks.ledger.tokens import Tokens
from blocks.ledger.vault import Vault


class Team(Tokens, Approvals, Holds, Replacements):
    """What people may do, and say."""


class Upkeep(Modules, Vault, Backups, Measuring):
    """What Terrarium keeps of its own running."""


class Ledger(
    Specs, Requests, Plans, Team, Generations, Environments, Overlays, Leases, Runs, Steps, Journal, Evidence, Upkeep
):
    """All parts over one pool. Every change is one transaction with its event; usable as a context manager."""

    def check_revision(self) -> None:
        """PermanentError where the tables are missing, older or newer than this code."""
        with self._read() as connection:
            found = read_revision(connection)
        refuse_older(found)
        refuse_newer(found)


def open_ledger(url: str, patience_seconds: float = 0) -> Ledger:
    """The ledger at a `postgresql://` URL; PermanentError where its schema is not the one of this version.

    Its server may be away for `patience_seconds` when a transaction begins.
    """
    ledger = Ledger(url, patience_seconds)
    ledger.check_revision()
    return ledger
