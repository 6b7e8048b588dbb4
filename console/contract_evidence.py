"""The JSON about evidence and backups of the control plane; a part of the contract in console/contract.py."""

from pydantic import Field

from console.contract import Answer


class Break(Answer):
    """The first record that is not what the chain says: `seq` is the number of its event."""

    seq: int
    kind: str
    fault: str
    detail: str


class EvidenceVerdict(Answer):
    """What `evidence verify` found. `missing` are anchors that are gone; `unchecked` is why the vault was not asked."""

    is_whole: bool
    source: str
    events: int
    head_hash: str
    anchors: int
    break_: Break | None = Field(default=None, alias="break")
    missing: list[str] = Field(default=[])
    unchecked: str = ""


class Exported(Answer):
    """What `evidence export` wrote, and the check of it."""

    file: str
    verdict: EvidenceVerdict


class Backup(Answer):
    """A backup of the control plane: where it lies, what it holds, and how far its ledger goes."""

    location: str
    files: dict[str, str] = Field(description="Sha256 of each file by its name.")
    head_seq: int
    head_hash: str
