"""What every backend of secrets can do; one suite of tests asks it of each (tests/integration/test_secrets.py)."""

from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from domain.certificate import find_expiry, read_certificates
from domain.errors import PermanentError
from domain.secret import SecretMetadata


class MissingSecretError(PermanentError):
    """The secret, or the version of it that was asked for, is not there."""

    def __init__(self, backend: str, path: str, version: str | None = None) -> None:
        which = f"version {version} of {path}" if version else path
        super().__init__(f"{backend} has no {which}.", "Write it there, or correct the path and version.")


class SecretStore(Protocol):
    """A backend. A secret is a text under a path, in versions; a version is named, or is in a stage.

    Every call raises TemporaryError where waiting helps, else PermanentError; neither holds a value.
    """

    @property
    def backend(self) -> str:
        """The word for it in an environment's file."""

    def find_metadata(self, path: str) -> SecretMetadata | None:
        """Versions, times and labels; None where nothing is under the path. It needs no right to read values."""

    def read_value(self, path: str, version: str | None = None) -> SecretStr:
        """The text of a version (a name or a stage; without one, the current). Raises MissingSecretError."""

    def write_value(self, path: str, value: SecretStr) -> str:
        """Make a new current version, and the secret where it is not there or was deleted; the version's name."""

    def delete_secret(self, path: str) -> None:
        """Remove the secret so that its backend can still bring it back; one that is gone is gone."""


def read_expiry(store: SecretStore, path: str, version: str | None = None) -> datetime | None:
    """When the certificates in a secret end, the first of them; None where it holds none."""
    return find_expiry(read_certificates(store.read_value(path, version).get_secret_value()))
