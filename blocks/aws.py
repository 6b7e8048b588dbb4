"""One AWS account, real or emulated, and what Terrarium keeps in it: states, saved plans and the vault.

Invariant: an emulated account answers on its own endpoint only; none of the user's AWS variables and files reaches it.
"""

import json
import os
import threading
from typing import TYPE_CHECKING, Any, Literal

from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr

from blocks.state_lock import LockHolder, read_lock_file
from domain.errors import PermanentError, RefusedError
from domain.infrastructure import StackAccount
from domain.vault_policy import write_reading_policy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import boto3

# How a process on real AWS is told who it is: a profile, keys, a web identity (EKS), a container's or proxy's address.
_IDENTITY = (
    *("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("AWS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)


class AwsAccount(Block):
    """An account that environments live in. Calls raise TemporaryError or PermanentError, never botocore's errors."""

    _block_type_name = "Terrarium AWS account"
    _block_type_slug = "terrarium-aws-account"

    name: str = Field(description="What specs call this account, such as nonproduction.")
    account_id: str = Field(pattern=r"^\d{12}$", description="The twelve digits.")
    role_arn: str = Field(default="", description="The role to assume; empty: the identity this process already has.")
    external_id_variable: str = Field(
        default="",
        pattern=r"^([A-Z0-9_]{0,60}EXTERNAL_ID[A-Z0-9_]{0,60})?$",
        description="Environment variable of the worker with the external id that the role asks for; empty: none.",
    )
    region: str = Field(description="Where the state and vault buckets are, and where calls go by default.")
    kind: Literal["emulator", "aws"] = Field(description="An emulator answers on its endpoint, with dummy keys.")
    endpoint_url: str | None = Field(default=None, description="The emulator's address; none for AWS.")
    state_bucket: str = Field(description="States (environments/NAME.tfstate), saved plans (plans/NAME/ID), modules.")
    vault_bucket: str = Field(description="What outlives an environment: copies of media, with retention.")
    kms_key_id: str = Field(default="", description="ARN or id of the key of both buckets; empty: their own default.")

    _session_name: str = PrivateAttr("terrarium")
    _policy: str = PrivateAttr("")
    _clients: dict[tuple[str, str], Any] = PrivateAttr(default_factory=dict)
    _sessions: "dict[str, boto3.Session]" = PrivateAttr(default_factory=dict)
    _lock: Any = PrivateAttr(default_factory=threading.RLock)

    def for_run(self, run_id: str) -> "AwsAccount":
        """The same account as a run sees it: the account's audit log calls its calls `terrarium-<run_id>`."""
        account = AwsAccount(**self.model_dump(include=set(AwsAccount.model_fields)))
        account._session_name = f"terrarium-{run_id}"[:64]
        return account

    def for_reading(self, *prefixes: str) -> "AwsAccount":
        """The same account as somebody sees it who may only read what is below these prefixes of the vault.

        Without a role to assume nothing can be taken away: then it is whoever we are.
        """
        account = self.afresh()
        partition = self.role_arn.split(":")[1] if self.role_arn else "aws"
        account._policy = write_reading_policy(self.vault_bucket, prefixes, self.region, partition)
        return account

    def afresh(self) -> "AwsAccount":
        """The same account with a session of its own: a role's keys that are asked for now have all of their time."""
        account = self.for_run("")
        account._session_name = self._session_name
        return account

    def owner(self) -> StackAccount:
        """What Terraform has to know of the account. PermanentError where the external id is not there."""
        return StackAccount(
            id=self.account_id,
            role_arn=self.role_arn,
            state_bucket=self.state_bucket,
            vault_bucket=self.vault_bucket,
            session_name=self._session_name,
            external_id=self._external_id,
        )

    def session(self, region: str | None = None) -> "boto3.Session":
        """A session in this account; its clients have the account's endpoint.

        Sessions are kept; making clients from one in several threads at once is not safe, `client()` is.
        """
        import boto3

        from blocks.aws_session import open_session

        key = region or self.region
        with self._lock:
            if key not in self._sessions:
                name, policy = self._session_name, self._policy
                opened = open_session(key, self._endpoint, self.role_arn, name, self._external_id, policy)
                self._sessions[key] = boto3.Session(botocore_session=opened, region_name=key)
            return self._sessions[key]

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client, kept for the next call. Safe to use from several threads."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                # mypy: the service is a variable, the stubs know literals
                self._clients[key] = self.session(region).client(service)  # type: ignore[call-overload]
            return self._clients[key]

    def environment(self) -> dict[str, str]:
        """The AWS_* variables of a Terraform child: all it may know. On AWS itself: who we are, and the way there."""
        if self.kind == "aws":
            identity = {name: value for name, value in os.environ.items() if name in _IDENTITY}
            return {**identity, "AWS_REGION": self.region, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
        return {
            "AWS_ACCESS_KEY_ID": "terrarium",
            "AWS_SECRET_ACCESS_KEY": "terrarium",
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self._endpoint or "",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # A call that the emulator does not know answers 500; the provider would try it again for minutes.
            "AWS_MAX_ATTEMPTS": "2",
        }

    def terraform_backend(self, key: str, region: str | None = None) -> dict[str, Any]:
        """Settings of Terraform's S3 backend for one state key; `region` is the bucket's."""
        backend: dict[str, Any] = {
            "bucket": self.state_bucket,
            "key": key,
            "region": region or self.region,
            "encrypt": True,
            "use_lockfile": True,
        }
        if self.kms_key_id:
            backend["kms_key_id"] = self.kms_key_id
        if self.role_arn:
            backend["assume_role"] = {"role_arn": self.role_arn, "session_name": self._session_name}
            if self._external_id:
                backend["assume_role"]["external_id"] = self._external_id
        if self.kind == "emulator":
            checks = ("credentials_validation", "requesting_account_id", "metadata_api_check", "region_validation")
            backend |= {"use_path_style": True, **{f"skip_{check}": True for check in checks}}
        return backend

    def identity(self) -> dict[str, str]:
        """Account id and ARN of who our calls are. RefusedError where that is another account than this one."""
        with self.translated("asking who we are"):
            answer = self.client("sts").get_caller_identity()
        if answer["Account"] != self.account_id:
            raise RefusedError(
                f"account {self.name}: calls land in {answer['Account']} as {answer['Arn']}, not in {self.account_id}.",
                "Correct the block's role_arn or account_id.",
            )
        return {"account": answer["Account"], "arn": answer["Arn"]}

    def is_bootstrapped(self) -> bool:
        """Whether the state and vault buckets are there."""
        return all(self._exists("head_bucket", Bucket=bucket) for bucket in (self.state_bucket, self.vault_bucket))

    def read_state(self, environment: str) -> dict[str, Any] | None:
        """An environment's state as Terraform keeps it, without Terraform's 0.6 s; None where there is none."""
        return self.find_state(state_key(environment))

    def find_state(self, key: str) -> dict[str, Any] | None:
        """The state under a key of the state bucket; None where there is none, or no bucket."""
        content = self._read(key, f"reading the state {key}")
        return None if content is None else dict(json.loads(content))

    def read_lock(self, key: str) -> LockHolder | None:
        """Who holds the lock of a state key; None where it is free."""
        content = self._read(f"{key}.tflock", f"reading the lock of {key}")
        return None if content is None else read_lock_file(json.loads(content))

    def put_plan(self, environment: str, plan_id: str, content: bytes) -> str:
        """Keep a saved plan, encrypted with the account's key (it may hold a secret), and answer with its S3 URL."""
        return self._put(_plan_key(environment, plan_id), content, f"keeping plan {plan_id} of {environment}")

    def read_plan(self, environment: str, plan_id: str) -> bytes:
        """A saved plan. PermanentError where it has expired or never was."""
        content = self._read(_plan_key(environment, plan_id), f"reading plan {plan_id} of {environment}")
        if content is None:
            raise PermanentError(
                f"{environment}: plan {plan_id} is not in the state bucket any more.",
                f"Plans are kept 24 hours. Plan again: `terrarium env plan environments/{environment}.yaml`.",
            )
        return content

    def delete_plan(self, environment: str, plan_id: str) -> None:
        """Remove a saved plan, all versions of it. One that is gone is gone."""
        from blocks.aws_objects import delete_versions

        delete_versions(self, self.state_bucket, _plan_key(environment, plan_id))

    def put_modules(self, digest: str, content: bytes) -> str:
        """Keep an archive of Terraform modules, which environments were made with; its S3 URL."""
        return self._put(_modules_key(digest), content, f"keeping modules {digest[:12]}")

    def read_modules(self, digest: str) -> bytes:
        """An archive of modules. PermanentError where it is gone."""
        content = self._read(_modules_key(digest), f"reading modules {digest[:12]}")
        if content is None:
            raise PermanentError(
                f"account {self.name}: the archived modules {digest[:12]} are not in the state bucket.",
                "Restore that object, or let the environment use those of this version: `terrarium env upgrade NAME`.",
            )
        return content

    @property
    def encryption(self) -> dict[str, str]:
        """What S3 is told with each object: KMS, with the account's key where it has one."""
        return {"ServerSideEncryption": "aws:kms"} | ({"SSEKMSKeyId": self.kms_key_id} if self.kms_key_id else {})

    @property
    def place(self) -> str:
        """What an environment is bound to: the kind of the endpoint, and the account's number."""
        return f"{self.kind} {self.account_id}"

    @property
    def _external_id(self) -> str:
        if not self.external_id_variable:
            return ""
        if not (external_id := os.environ.get(self.external_id_variable)):
            raise PermanentError(
                f"account {self.name}: its role asks for an external id, and {self.external_id_variable} is not set.",
                "Give this process that environment variable, from the secret store of the machine it runs on.",
            )
        return external_id

    @property
    def _endpoint(self) -> str | None:
        if self.kind == "aws":
            return None
        if not self.endpoint_url:
            raise PermanentError(f"account {self.name} is emulated and has no endpoint_url.", "Set it in the block.")
        return self.endpoint_url

    def translated(self, what: str) -> "AbstractContextManager[None]":
        """botocore's errors as ours, within the `with`; `what` says what was done."""
        from blocks.aws_session import translate_errors

        return translate_errors(f"account {self.name}: {what}")

    def _exists(self, head: str, **target: str) -> bool:
        from botocore.exceptions import ClientError

        with self.translated(f"looking for {'/'.join(target.values())}"):
            try:
                getattr(self.client("s3"), head)(**target)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                return False
        return True

    def _put(self, key: str, content: bytes, what: str) -> str:
        with self.translated(what):
            self.client("s3").put_object(Bucket=self.state_bucket, Key=key, Body=content, **self.encryption)
        return f"s3://{self.state_bucket}/{key}"

    def _read(self, key: str, what: str) -> bytes | None:
        from botocore.exceptions import ClientError

        with self.translated(what):
            try:
                return bytes(self.client("s3").get_object(Bucket=self.state_bucket, Key=key)["Body"].read())
            except ClientError as error:
                if error.response["Error"].get("Code") not in ("NoSuchKey", "NoSuchBucket"):
                    raise
        return None


def state_key(environment: str) -> str:
    """Where an environment's state is in the state bucket."""
    return f"environments/{environment}.tfstate"


def _plan_key(environment: str, plan_id: str) -> str:
    return f"plans/{environment}/{plan_id}"


def _modules_key(digest: str) -> str:
    return f"modules/{digest}.tar.gz"
