"""What lies in a vault, as the ledger knows it: anchors of the chain and backups, and which of them are lost."""

from sqlalchemy import func, select

from blocks.ledger.database import Database
from blocks.ledger.rows import VaultObjectRow
from blocks.ledger.schema import event
from blocks.ledger.team_tables import vault_loss, vault_object
from domain.evidence import OF_THE_VAULT


class Vault(Database):
    """Objects are recorded after the vault has them; one that the vault forgot is recorded as lost, never removed."""

    def add_vault_object(
        self, kind: str, account: str, location: str, sha256: str, head: tuple[int, str], actor: str, run_id: str = ""
    ) -> bool:
        """Record an object that the vault has; False where this location is on record and not lost."""
        row = {
            "kind": kind,
            "account": account,
            "location": location,
            "sha256": sha256,
            "head_seq": head[0],
            "head_hash": head[1],
            "actor": actor,
        }
        lost = select(vault_loss.c.object_seq)
        known = select(vault_object.c.seq).where(vault_object.c.location == location, vault_object.c.seq.not_in(lost))
        with self._append() as chain:
            if chain.fetch(known):
                return False
            chain.append(vault_object, row, environment="", actor=actor, run_id=run_id, outcome=kind)
        return True

    def mark_object_lost(self, object_seq: int, reason: str, actor: str = "stack") -> bool:
        """Record that the vault has an object no more; False where that is on record."""
        with self._append() as chain:
            if chain.fetch(select(vault_loss).where(vault_loss.c.object_seq == object_seq)):
                return False
            row = {"object_seq": object_seq, "actor": actor, "reason": reason}
            chain.append(vault_loss, row, environment="", actor=actor, reason=reason, outcome="lost")
        return True

    def list_vault_objects(self) -> list[VaultObjectRow]:
        """Everything that was ever put there, in the order of its record."""
        lost = vault_loss.c.at.label("lost_at")
        query = (
            select(vault_object, lost)
            .join(vault_loss, vault_loss.c.object_seq == vault_object.c.seq, isouter=True)
            .order_by(vault_object.c.seq)
        )
        with self._read() as connection:
            return [VaultObjectRow.model_validate(row) for row in connection.execute(query)]

    def read_newest_told(self) -> int:
        """The number of the newest event that is not about the vault itself; 0 where there is none."""
        query = select(func.max(event.c.seq)).where(event.c.kind.not_in(OF_THE_VAULT))
        with self._read() as connection:
            return connection.execute(query).scalar() or 0
