"""AWS Secrets Manager in one account and region, as a store of secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from blocks.aws import AwsAccount
from blocks.secrets.store import MissingSecretError
from domain.errors import PermanentError, TerrariumError
from domain.secret import CURRENT, PENDING, PREVIOUS, SecretMetadata, SecretVersion

#: Days in which a deleted secret can be restored: the least that AWS knows.
RECOVERY_DAYS = 7
STAGES = {"AWSCURRENT": CURRENT, "AWSPREVIOUS": PREVIOUS, "AWSPENDING": PENDING}
LABELS = {stage: label for label, stage in STAGES.items()}


@dataclass(frozen=True)
class SecretsManager:
    """The secrets of an account in a region."""

    account: AwsAccount
    region: str
    backend: str = "secrets-manager"

    def find_metadata(self, path: str) -> SecretMetadata | None:
        """Versions, times and tags; None where nothing is under the path, or where it was deleted."""
        with self._translated(f"looking for {path}"):
            try:
                found = self._client.describe_secret(SecretId=path)
            except self._client.exceptions.ResourceNotFoundException:
                return None
            if found.get("DeletedDate"):
                return None
            versions = self._list_versions(path)
        return SecretMetadata(
            backend=self.backend,
            path=path,
            created_at=found.get("CreatedDate"),
            changed_at=found.get("LastChangedDate"),
            versions=versions,
            labels={tag["Key"]: tag["Value"] for tag in found.get("Tags", ())},
        )

    def read_value(self, path: str, version: str | None = None) -> SecretStr:
        """The text of a version: its id, a stage, or without one the current."""
        from botocore.exceptions import ParamValidationError

        word = version or CURRENT
        wanted = {"VersionStage": LABELS[word]} if word in LABELS else {"VersionId": word}
        with self._translated(f"reading {path}"):
            try:
                found = self._client.get_secret_value(SecretId=path, **wanted)
            except ParamValidationError:  # no id of AWS's is as short as this one
                raise MissingSecretError(self.backend, path, version) from None
            except self._client.exceptions.ClientError as error:
                if _is_missing(error, version):
                    raise MissingSecretError(self.backend, path, version) from None
                raise
        if "SecretString" not in found:
            raise PermanentError(f"{self.backend}: {path} holds bytes, not a text.", "Write it again as a text.")
        return SecretStr(found["SecretString"])

    def write_value(self, path: str, value: SecretStr) -> str:
        """A new current version. A secret that is new is encrypted with the region's own key."""
        text = value.get_secret_value()
        with self._translated(f"writing {path}"):
            try:
                found = self._client.describe_secret(SecretId=path)
            except self._client.exceptions.ResourceNotFoundException:
                return str(self._client.create_secret(Name=path, SecretString=text)["VersionId"])
            if found.get("DeletedDate"):
                self._client.restore_secret(SecretId=path)
            return str(self._client.put_secret_value(SecretId=path, SecretString=text)["VersionId"])

    def delete_secret(self, path: str) -> None:
        """Schedule the deletion; until then `write_value` brings the secret back."""
        with self._translated(f"deleting {path}"):
            try:
                if not self._client.describe_secret(SecretId=path).get("DeletedDate"):
                    self._client.delete_secret(SecretId=path, RecoveryWindowInDays=RECOVERY_DAYS)
            except self._client.exceptions.ResourceNotFoundException:
                return

    @property
    def _client(self) -> Any:
        return self.account.client("secretsmanager", self.region)

    def _list_versions(self, path: str) -> tuple[SecretVersion, ...]:
        """Those without a stage too; AWS has no paginator for this call."""
        rows: list[dict[str, Any]] = []
        page: dict[str, str] | None = {}
        while page is not None:
            answer = self._client.list_secret_version_ids(SecretId=path, IncludeDeprecated=True, **page)
            rows += answer.get("Versions", ())
            page = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else None
        rows.sort(key=lambda row: (_is_current(row), row["CreatedDate"]), reverse=True)
        return tuple(_read_version(row) for row in rows)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """botocore's errors as ours, without its words: those of a refused write may repeat the value."""
        try:
            with self.account.translated(what):
                yield
        except MissingSecretError:
            raise
        except TerrariumError as error:
            raise type(error)(
                f"account {self.account.name}, {self.region}: {what} in Secrets Manager failed: {_name_code(error)}.",
                error.resolution,
            ) from None


def _is_missing(error: Any, version: str | None) -> bool:
    """Nothing under the path, no such version (an id of another form than AWS's too), or deleted."""
    code, message = error.response["Error"].get("Code"), error.response["Error"].get("Message", "")
    return (
        code == "ResourceNotFoundException"
        or (code == "InvalidRequestException" and "delet" in message)
        or (code == "InvalidParameterException" and version is not None)
    )


def _name_code(error: BaseException) -> str:
    """AWS's code of what failed, else the kind of the exception: both are words of a fixed list."""
    cause = error.__cause__
    response: Any = getattr(cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(cause).__name__)


def _is_current(row: dict[str, Any]) -> bool:
    return "AWSCURRENT" in row.get("VersionStages", ())


def _read_version(row: dict[str, Any]) -> SecretVersion:
    created_at: datetime = row["CreatedDate"]
    stages = tuple(STAGES.get(label, label) for label in row.get("VersionStages", ()))
    return SecretVersion(version=row["VersionId"], created_at=created_at, stages=stages)
