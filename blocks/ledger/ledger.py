"""The ledger: what should exist, who asked, what was done and how it ended, as records that are only ever added."""

from blocks.ledger.environments import Environments, Generations, Overlays
from blocks.ledger.evidence import Evidence
from blocks.ledger.journal import Journal
from blocks.ledger.measures import Measuring
from blocks.ledger.revision import read_revision, refuse_newer, refuse_older
from blocks.ledger.runs import Runs, Steps
from blocks.ledger.specs import Plans, Requests, Specs
from blocks.ledger.vault import Vault


class Ledger(
    Specs, Requests, Plans, Generations, Environments, Overlays, Runs, Steps, Journal, Evidence, Vault, Measuring
):
    """All parts over one pool. Every change is one transaction with its event; usable as a context manager."""

    def check_revision(self) -> None:
        """PermanentError where the tables are missing, older or newer than this code."""
        with self._read() as connection:
            found = read_revision(connection)
        refuse_older(found)
        refuse_newer(found)


def open_ledger(url: str) -> Ledger:
    """The ledger at a `postgresql://` URL; PermanentError where its schema is not the one of this version."""
    ledger = Ledger(url)
    ledger.check_revision()
    return ledger
