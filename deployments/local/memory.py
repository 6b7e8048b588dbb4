"""The emulator keeps everything in memory: after its restart the ledger must not claim what is not there any more."""

from collections.abc import Callable

from blocks.aws import AwsAccount
from blocks.ledger import Ledger
from blocks.ledger.rows import EnvironmentRow, VaultObjectRow
from blocks.vault import list_addresses
from domain.status import EnvironmentStatus

REASON = "the emulator restarted and keeps its state in memory only"
#: Environments that exist, or that a run left halfway: what an emulator can forget.
EXISTING = (EnvironmentStatus.READY, EnvironmentStatus.DEGRADED, EnvironmentStatus.FAILED)


def mark_forgotten(ledger: Ledger, load_account: Callable[[str], AwsAccount | None]) -> list[EnvironmentRow]:
    """Mark as lost each environment whose account is emulated and has no state of it; those that were marked."""
    existing = [row for row in ledger.list_environments() if row.status in EXISTING and row.resources]
    forgotten = [row for row in existing if _is_forgotten(load_account(row.account), row.name)]
    for row in forgotten:
        ledger.mark_lost(row.name, REASON)
    return forgotten


def mark_forgotten_objects(ledger: Ledger, load_account: Callable[[str], AwsAccount | None]) -> list[VaultObjectRow]:
    """Mark as lost each anchor and backup that an emulated vault has no more; those that were marked."""
    kept = [row for row in ledger.list_vault_objects() if row.lost_at is None]
    accounts = {name: load_account(name) for name in {row.account for row in kept}}
    vaults = {
        name: list_addresses(account, "evidence/")
        for name, account in accounts.items()
        if account is not None and account.kind == "emulator"
    }
    forgotten = [row for row in kept if row.account in vaults and row.location not in vaults[row.account]]
    for row in forgotten:
        ledger.mark_object_lost(row.seq, REASON)
    return forgotten


def _is_forgotten(account: AwsAccount | None, environment: str) -> bool:
    return account is not None and account.kind == "emulator" and account.read_state(environment) is None
