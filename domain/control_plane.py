"""A backup of the control plane as data: which databases it holds, and how far the ledger in it goes."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.errors import RefusedError

MANIFEST = "manifest.json"
#: File of each database, by its name in the local stack.
DUMPS = {"terrarium": "terrarium.dump", "prefect": "prefect.dump"}


class Manifest(BaseModel):
    """What lies beside the dumps. `head_seq` was the newest event before they began: a restored chain has it.

    `encryption_key` is a fingerprint: without the key itself Prefect cannot read the blocks of the backup.
    """

    model_config = ConfigDict(frozen=True)

    taken_at: datetime
    version: str
    ledger_revision: str
    postgres: str
    head_seq: int
    head_hash: str
    encryption_key: str
    files: dict[str, str]


def refuse_damaged(manifest: Manifest, found: dict[str, str | None], where: str) -> None:
    """RefusedError where a file of a backup is missing or is not the one that was written."""
    wrong = sorted(
        name for name in DUMPS.values() if found.get(name) is None or found[name] != manifest.files.get(name)
    )
    if wrong:
        raise RefusedError(
            f"The backup in {where} is damaged: {', '.join(wrong)} is missing or has another sha256 than its manifest.",
            "Take another backup; nothing was changed.",
        )
