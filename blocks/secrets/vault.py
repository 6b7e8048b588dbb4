"""HashiCorp Vault, or OpenBao, which speaks the same API: a KV engine of version 2 as a store of secrets.

The block says where the server is and where the credential is; the credential itself is in a file or a variable of the
process that uses it, never in Prefect. No variable of Vault's own (VAULT_TOKEN, VAULT_ADDR, …) and no ~/.vault-token is
read. Source of the protocol: openbao.org/api-docs/secret/kv/kv-v2.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, ValidationError, model_validator

from blocks.secrets.store import MissingSecretError
from domain.errors import PermanentError, TemporaryError
from domain.secret import CURRENT, PREVIOUS, SecretMetadata, SecretVersion

TIMEOUT_SECONDS = 10.0
#: The key of a KV entry that holds a secret of one text. An entry with other keys is read as JSON.
VALUE = "value"
DEFAULT = "default"


class Vault(Block):
    """A KV engine. `backend` is the word of an environment's file for it."""

    _block_type_name = "Terrarium Vault"
    _block_type_slug = "terrarium-vault"

    address: str = Field(pattern=r"^https?://[^\s/]+$", description="Where it answers: https://vault.example:8200.")
    mount: str = Field(default="secret", description="Where its KV engine of version 2 is mounted.")
    namespace: str = Field(default="", description="The namespace, for a server that has them.")
    role_id: str = Field(
        default="", description="AppRole's role id; then the credential is its secret id. Empty: it is a token."
    )
    credential_file: str = Field(default="", description="The file with the token or secret id, on the worker.")
    credential_variable: str = Field(default="", description="Or the variable of the worker that holds it.")
    ca_file: str = Field(default="", description="The certificate authority of the server; empty: the system's.")

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        if bool(self.credential_file) == bool(self.credential_variable):
            raise ValueError("give credential_file or credential_variable: where the token or secret id is")
        return self

    @property
    def backend(self) -> str:
        """Its word in an environment's file."""
        return "vault"

    def find_metadata(self, path: str) -> SecretMetadata | None:
        """Versions, times and custom metadata; None where nothing is under the path."""
        from hvac.exceptions import InvalidPath

        with self._opened(f"looking for {path}", path) as kv:
            try:
                found = kv.read_secret_metadata(path, mount_point=self.mount)["data"]
            except InvalidPath:
                return None
        return SecretMetadata(
            backend=self.backend,
            path=path,
            created_at=_read_time(found["created_time"]),
            changed_at=_read_time(found["updated_time"]),
            versions=_read_versions(found),
            labels=found.get("custom_metadata") or {},
        )

    def read_value(self, path: str, version: str | None = None) -> SecretStr:
        """The text of a version: its number, a stage, or without one the current."""
        from hvac.exceptions import InvalidPath

        number = self._find_number(path, version)
        with self._opened(f"reading {path}", path) as kv:
            try:
                found = kv.read_secret_version(
                    path, version=number, mount_point=self.mount, raise_on_deleted_version=True
                )["data"]["data"]
            except InvalidPath:
                raise MissingSecretError(self.backend, path, version) from None
        return SecretStr(found[VALUE] if found.keys() == {VALUE} else json.dumps(found))

    def write_value(self, path: str, value: SecretStr) -> str:
        """A new version of the entry's `value`, its only key."""
        with self._opened(f"writing {path}", path) as kv:
            secret = {VALUE: value.get_secret_value()}
            return str(kv.create_or_update_secret(path, secret, mount_point=self.mount)["data"]["version"])

    def delete_secret(self, path: str) -> None:
        """Delete every version; `vault kv undelete` brings them back until they are destroyed."""
        found = self.find_metadata(path)
        if numbers := [int(one.version) for one in found.versions if one.is_readable] if found else []:
            with self._opened(f"deleting {path}", path) as kv:
                kv.delete_secret_versions(path, numbers, mount_point=self.mount)

    def _find_number(self, path: str, version: str | None) -> int | None:
        if version is None or version.isdecimal():
            return int(version) if version else None
        found = self.find_metadata(path)
        known = found.find_version(version) if found else None
        if known is None:
            raise MissingSecretError(self.backend, path, version)
        return int(known.version)

    @contextmanager
    def _opened(self, what: str, path: str) -> Iterator[Any]:
        """The KV engine, logged in; within the `with`, hvac's and requests' errors become ours, without their words."""
        from hvac.exceptions import VaultError
        from requests.exceptions import RequestException

        if any(part in ("", ".", "..") for part in path.split("/")):
            raise PermanentError(
                f"vault: {path} is no path of a secret.", "Write it without empty parts, `.` and `..`."
            )
        try:
            yield self._login().secrets.kv.v2
        except VaultError as error:
            raise self._translate(what, type(error).__name__) from None
        except RequestException as error:
            raise TemporaryError(
                f"vault {self.address}: {what} failed: no answer ({type(error).__name__}).",
                "Check that it is up and that this machine reaches it; it is tried again.",
            ) from None

    def _login(self) -> Any:
        """A client with a token: the credential itself, or what AppRole gives for it."""
        from hvac import Client

        credential = self._read_credential()
        client = Client(
            url=self.address,
            token="" if self.role_id else credential,  # else hvac would take one from the environment
            verify=self.ca_file or True,
            cert=(),  # likewise
            timeout=TIMEOUT_SECONDS,
            namespace=self.namespace or None,
        )
        if self.role_id:
            client.auth.approle.login(self.role_id, credential)
        return client

    def _read_credential(self) -> str:
        try:
            text = (
                Path(self.credential_file).read_text() if self.credential_file else os.environ[self.credential_variable]
            )
        except (OSError, KeyError):
            place = self.credential_file or f"the variable {self.credential_variable}"
            raise PermanentError(
                f"vault {self.address}: this process has no credential in {place}.",
                "Put the token or secret id there, readable by the worker alone, or correct the Vault block.",
            ) from None
        return text.strip()

    def _translate(self, what: str, kind: str) -> TemporaryError | PermanentError:
        """hvac names its exceptions after the status of the answer."""
        summary = f"vault {self.address}: {what} failed: it answered {kind}."
        if kind in ("VaultDown", "VaultNotInitialized"):
            return TemporaryError(summary, "It is sealed or not initialised: unseal it; it is tried again.")
        if kind in ("InternalServerError", "BadGateway", "RateLimitExceeded"):
            return TemporaryError(summary, "It is tried again; the server's own log says more.")
        if kind in ("Forbidden", "Unauthorized"):
            return PermanentError(
                summary, f"Check the credential, and that its policy lets it read {self.mount}/metadata."
            )
        return PermanentError(
            summary, f"Check the Vault block: {self.mount} must be a KV engine of version 2, role_id a known one."
        )


def find_vault(account: str) -> Vault | None:
    """The Vault of an account: the block with its name, else the one named `default`; None where there is neither."""
    for name in (account, DEFAULT):
        try:
            found = Vault.load(name)
        except ValidationError as error:
            raise PermanentError(
                f"The Vault block {name} is not usable.", "Correct it in Prefect's UI, under Blocks."
            ) from error
        except ValueError:  # Prefect's word for a block that nobody registered
            continue
        assert isinstance(found, Vault)
        return found
    return None


def _read_versions(found: dict[str, Any]) -> tuple[SecretVersion, ...]:
    """Newest first. KV knows no stages: the current one is its newest, the previous one the next that can be read."""
    numbers = sorted(map(int, found["versions"]), reverse=True)
    rows = {number: found["versions"][str(number)] for number in numbers}
    current = found["current_version"]
    previous = next((number for number in numbers if number < current and _is_readable(rows[number])), None)
    stages = {current: (CURRENT,), previous: (PREVIOUS,)}
    return tuple(
        SecretVersion(
            version=str(number),
            created_at=_read_time(row["created_time"]),
            stages=stages.get(number, ()),
            is_readable=_is_readable(row),
        )
        for number, row in rows.items()
    )


def _is_readable(row: dict[str, Any]) -> bool:
    """Neither destroyed nor deleted; an entry with a lifetime names its deletion before it comes."""
    deleted_at = _read_time(row["deletion_time"])
    return not row["destroyed"] and (deleted_at is None or deleted_at > datetime.now(UTC))


def _read_time(text: str) -> datetime | None:
    """RFC 3339 with nanoseconds, of which Python 3.11 takes the first six; None for an empty text."""
    return datetime.fromisoformat(text) if text else None
