"""The ledger of this process: one small pool of connections, opened on first use."""

from functools import cache

from blocks.ledger import Ledger, open_ledger
from blocks.settings import read_settings

#: So long the database may be away before a run fails: a restart takes seconds, an apply should outlive it.
PATIENCE_SECONDS = 60.0


@cache
def ledger() -> Ledger:
    """The ledger that the settings name."""
    return open_ledger(read_settings().ledger_url.get_secret_value(), PATIENCE_SECONDS)
