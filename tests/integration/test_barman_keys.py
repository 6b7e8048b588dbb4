"""The keys that barman works with, and how long it may."""

from datetime import UTC, datetime, timedelta
from typing import Any

from blocks.aws import AwsAccount
from blocks.barman import MARGIN_SECONDS, TIMEOUT_SECONDS, _read_credentials

HOUR = 3600.0


def as_role(account: AwsAccount) -> AwsAccount:
    """The account as somebody who has to assume a role in it."""
    arn = f"arn:aws:iam::{account.account_id}:role/terrarium"
    return AwsAccount(**account.model_dump(include=set(AwsAccount.model_fields)) | {"role_arn": arn}).for_run("run-7")


def test_a_roles_keys_are_asked_for_anew(account: AwsAccount) -> None:
    """The run's own may be at their end; barman gets others, and may not work longer than they are good for."""
    run = as_role(account)
    own: Any = run.session().get_credentials()
    own.get_frozen_credentials()
    own._expiry_time = datetime.now(UTC) + timedelta(minutes=16)  # just before botocore asks for new ones
    keys, seconds = _read_credentials(run)
    assert keys["AWS_ACCESS_KEY_ID"] != own.get_frozen_credentials().access_key
    assert HOUR - MARGIN_SECONDS - 120 < seconds <= HOUR - MARGIN_SECONDS


def test_keys_without_an_end_last_as_long_as_a_backup_may(account: AwsAccount) -> None:
    """Where nobody says when they end."""
    keys, seconds = _read_credentials(AwsAccount(**account.model_dump() | {"role_arn": ""}))
    assert seconds == TIMEOUT_SECONDS
    assert "AWS_SESSION_TOKEN" not in keys
