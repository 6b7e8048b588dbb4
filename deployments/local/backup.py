"""Backup of the control plane: Prefect's database and the ledger, with a manifest, in a folder or in a vault.

It works by the credentials of the state folder, because no server of ours may know those of the other's database.
"""

import hashlib
import os
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.ledger import open_ledger
from blocks.ledger.schema import REVISION
from blocks.postgres.dump import dump_database
from blocks.private_files import write_private
from blocks.settings import Settings, read_settings
from deployments.local.blueprint import Blueprint, draw_blueprint
from deployments.local.credentials import Credentials
from deployments.local.environment import build_own_environment, database_url
from domain.control_plane import DUMPS, MANIFEST, Manifest
from domain.errors import RefusedError
from domain.evidence import BACKUP, name_folder

if TYPE_CHECKING:
    from blocks.aws import AwsAccount

ACTOR = "stack"


def take_backup(settings: Settings, to: Path | None) -> dict[str, Any]:
    """Write a backup below `to`, or into the vault of the settings, and record it; where it is and what it holds."""
    blueprint = draw_blueprint(settings)
    now = datetime.now(UTC)
    name = f"control-plane-{now:%Y%m%dT%H%M%SZ}"
    if to is not None:
        folder = _make_folder(to.absolute() / name)
        manifest = write_backup(blueprint, folder, now)
        return {"location": str(folder), **_describe(manifest)}
    account = _find_vault(blueprint)
    with tempfile.TemporaryDirectory(prefix="terrarium-backup-") as temporary:
        folder = Path(temporary)
        manifest = write_backup(blueprint, folder, now)
        prefix = f"{name_folder(settings.ledger_name)}backups/{name}/"
        location = _upload(blueprint, account, folder, prefix, manifest)
    return {"location": location, **_describe(manifest)}


def list_urls(settings: Settings, credentials: Credentials, suffix: str = "") -> dict[str, str]:
    """The URL of each database of the private PostgreSQL, for its owner."""
    return {
        "terrarium": database_url(settings, "terrarium_owner", credentials.ledger_owner, f"terrarium{suffix}"),
        "prefect": database_url(settings, "prefect", credentials.prefect_database, f"prefect{suffix}"),
    }


def write_backup(blueprint: Blueprint, folder: Path, now: datetime) -> Manifest:
    """Dump both databases into a folder, then write what they are: a folder without a manifest is no backup."""
    if blueprint.settings.ledger_url.get_secret_value():
        raise RefusedError(
            "The ledger is in a database that you named, so its backup is that database's.",
            "Back it up, and Prefect's, with the tools of that server; `terrarium evidence export` copies the records.",
        )
    urls = list_urls(blueprint.settings, blueprint.credentials)
    with open_ledger(urls["terrarium"]) as ledger:
        head_seq, head_hash = ledger.read_head()
    for name, file in DUMPS.items():
        dump_database(blueprint.database.programs, urls[name], folder / file)
    manifest = Manifest(
        taken_at=now,
        version=version("terrarium"),
        ledger_revision=REVISION,
        postgres=blueprint.database.read_version(),
        head_seq=head_seq,
        head_hash=head_hash,
        encryption_key=read_fingerprint(blueprint.credentials),
        files={file: digest_file(folder / file) for file in DUMPS.values()},
    )
    write_private(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def digest_file(path: Path) -> str:
    """Sha256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_fingerprint(credentials: Credentials) -> str:
    """Which key Prefect's blocks are encrypted with, without telling it."""
    return hashlib.sha256(credentials.prefect_encryption_key.encode()).hexdigest()[:16]


def _make_folder(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    return folder


def _find_vault(blueprint: Blueprint) -> "AwsAccount":
    environment = build_own_environment(blueprint.settings, blueprint.credentials, os.environ)
    os.environ.clear()
    os.environ.update(environment)
    read_settings.cache_clear()
    # Only now: an account is one of Prefect's blocks, and Prefect reads its environment when it is imported.
    from blocks.prefect_api import open_prefect
    from blocks.vault import find_account

    return find_account(open_prefect(blueprint.settings.prefect_api_url), blueprint.settings.vault_account)


def _upload(blueprint: Blueprint, account: "AwsAccount", folder: Path, prefix: str, manifest: Manifest) -> str:
    """The manifest goes last, and its address is the backup's."""
    from blocks.vault import upload_file

    location = ""
    for file in (*DUMPS.values(), MANIFEST):
        location = upload_file(account, prefix + file, folder / file)
    head = (manifest.head_seq, manifest.head_hash)
    with open_ledger(os.environ["TERRARIUM_LEDGER_URL"]) as ledger:
        ledger.add_vault_object(BACKUP, account.name, location, digest_file(folder / MANIFEST), head, ACTOR)
    return location


def _describe(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", include={"files", "head_seq", "head_hash"})
