"""Passwords and keys of the local stack: drawn once, kept in the state folder, readable by its user alone."""

import base64
import secrets

from pydantic import BaseModel, ConfigDict, Field

from blocks.private_files import write_private
from deployments.local.layout import Layout

TOKEN_BYTES = 32


def _draw(size_bytes: int = 24) -> str:
    return secrets.token_urlsafe(size_bytes)


def _draw_fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


class Credentials(BaseModel):
    """There is no default password: each is random. `stack_id` marks the processes of this stack, and is no secret."""

    model_config = ConfigDict(frozen=True)

    stack_id: str = Field(default_factory=lambda: secrets.token_hex(8))
    prefect_database: str = Field(default_factory=_draw)
    ledger_owner: str = Field(default_factory=_draw)
    ledger_app: str = Field(default_factory=_draw)
    prefect_encryption_key: str = Field(default_factory=_draw_fernet_key)
    prefect_password: str = Field(default_factory=_draw)

    @property
    def prefect_auth(self) -> str:
        """The user and password that Prefect's server may ask for."""
        return f"terrarium:{self.prefect_password}"


def create_credentials(layout: Layout) -> Credentials:
    """The stack's credentials and the token of its API, made where they are not there yet."""
    if not layout.token.exists():
        write_private(layout.token, _draw(TOKEN_BYTES) + "\n")
    if not layout.credentials.exists():
        write_private(layout.credentials, Credentials().model_dump_json(indent=2) + "\n")
    return Credentials.model_validate_json(layout.credentials.read_text())
