"""botocore sessions that reach one account and nothing else, and botocore's errors as ours.

Invariant: a session for the emulator reads no variable, profile, config file, proxy or metadata service of the user's.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, NoCredentialsError
from botocore.exceptions import ConnectionError as NoConnectionError

from domain.errors import PermanentError, TemporaryError

MAX_ATTEMPTS = 4
_SHARED: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"total_max_attempts": MAX_ATTEMPTS, "mode": "standard"},
}
_THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded"}
    | {"SlowDown", "RequestThrottled", "ProvisionedThroughputExceededException", "PriorRequestNotComplete"}
)
_DENIED = ("AccessDenied", "UnauthorizedOperation", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch")


class AccountSession(botocore.session.Session):
    """Every client talks to `endpoint_url` (None: AWS itself, whatever AWS_ENDPOINT_URL says), with bounded retries."""

    def __init__(self, region: str, endpoint_url: str | None) -> None:
        super().__init__(session_vars=_ISOLATED if endpoint_url else None)
        self._client_endpoint_url = endpoint_url
        self._client_config = Config(
            **_SHARED, **(_EMULATOR if endpoint_url else {"ignore_configured_endpoint_urls": True})
        )
        self.set_config_variable("region", region)
        if endpoint_url:
            self.set_credentials("terrarium", "terrarium")

    def create_client(self, service_name: Any, *args: Any, **options: Any) -> Any:
        """As botocore's, with our endpoint and configuration below what the caller asks for."""
        if options.get("endpoint_url") is None:
            options["endpoint_url"] = self._client_endpoint_url
        asked = options.get("config")
        options["config"] = self._client_config.merge(asked) if asked else self._client_config
        return super().create_client(service_name, *args, **options)


# No environment variable and no key of a config file, for any of botocore's variables: their defaults alone.
_ISOLATED = {
    name: (None, None, default, convert)
    for name, (_, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
} | {"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
# What botocore reads from the environment beside its variables.
_EMULATOR: dict[str, Any] = {
    "proxies": {},
    "s3": {"addressing_style": "path"},
    "use_fips_endpoint": False,
    "use_dualstack_endpoint": False,
}


def open_session(
    region: str, endpoint_url: str | None, role_arn: str, session_name: str, external_id: str = "", policy: str = ""
) -> AccountSession:
    """A session as that role (refreshed before it expires), or as whoever we are where `role_arn` is empty.

    `policy` takes away from what the role may do; without a role there is nothing that it could be said with.
    """
    session = AccountSession(region, endpoint_url)
    if not role_arn:
        return session
    source = AccountSession(region, endpoint_url)
    named = {"RoleSessionName": session_name} | ({"ExternalId": external_id} if external_id else {})
    named |= {"Policy": policy} if policy else {}
    fetcher = AssumeRoleCredentialFetcher(source.create_client, source.get_credentials(), role_arn, extra_args=named)
    # mypy: the way botocore's own assume-role provider does it; there is no public setter for refreshable credentials
    session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]
    return session


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Raise botocore's errors as ours. `what` says what failed and where: "account dev: reading plan 7"."""
    try:
        yield
    except ClientError as error:
        raise _translate(what, error) from error
    except NoCredentialsError as error:
        raise PermanentError(
            f"{what} failed: no AWS credentials.", "Give this process a role, or a profile for the account."
        ) from error
    except (NoConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TemporaryError(f"{what} failed: {error}", "Check that the endpoint is up; it is tried again.") from error
    except BotoCoreError as error:
        raise PermanentError(f"{what} failed: {error}", "Correct the account's block.") from error


def _translate(what: str, error: ClientError) -> TemporaryError | PermanentError:
    code, status = str(error.response["Error"].get("Code", "")), error.response["ResponseMetadata"]["HTTPStatusCode"]
    summary = f"{what} failed: {error}"
    if code in _THROTTLED or status == 429 or status >= 500:
        return TemporaryError(summary, "AWS asks to wait; it is tried again.")
    if code.startswith(_DENIED):
        return PermanentError(summary, "Check the account's role and what it may do.")
    if code in ("NoSuchBucket", "NoSuchKey", "404"):
        return PermanentError(
            summary, "Check that the account is bootstrapped: `make up`, or infra/terraform/bootstrap."
        )
    return PermanentError(summary, "Correct what AWS names, and run it again.")
