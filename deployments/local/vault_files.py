"""The local Vault's folder: the key that it unseals itself with, its storage and its configuration."""

import json
import secrets
from pathlib import Path
from typing import Any

from blocks.private_files import write_private
from blocks.settings import Settings
from deployments.local.layout import Layout

KEY_BYTES = 32


def write_vault_files(settings: Settings) -> Path:
    """The server's folder, its key and its configuration; the configuration's path."""
    layout = Layout(settings.state_dir)
    for folder in (layout.vault, layout.vault / "storage"):
        folder.mkdir(mode=0o700, exist_ok=True)
    key = layout.vault / "seal-key"
    if not key.exists():
        write_private(key, secrets.token_hex(KEY_BYTES))
    config = layout.vault / "config.json"
    write_private(config, json.dumps(_describe_server(settings, layout.vault, key), indent=2) + "\n")
    return config


def _describe_server(settings: Settings, folder: Path, key: Path) -> dict[str, Any]:
    """Plain HTTP, as the stack's other servers on loopback speak it."""
    address = f"{settings.host}:{settings.vault_port}"
    return {
        "storage": {"file": {"path": str(folder / "storage")}},
        "listener": {"tcp": {"address": address, "tls_disable": True}},
        "seal": {"static": {"current_key_id": "local", "current_key": f"file://{key}"}},
        "api_addr": f"http://{address}",
        "ui": False,
        "log_level": "warn",
    }
