"""The ledger of this process: one small pool of connections, opened on first use."""

from functools import cache

from blocks.ledger import Ledger, open_ledger
from blocks.settings import read_settings


@cache
def ledger() -> Ledger:
    """The ledger that the settings name."""
    return open_ledger(read_settings().ledger_url.get_secret_value())
