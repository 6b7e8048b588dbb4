"""The AWS emulator, accounts in it, and Terraform: shared by the integration tests."""

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from blocks.aws import AwsAccount
from blocks.terraform_binary import find_provider_mirror, find_terraform
from domain.errors import TerrariumError

CHECKOUT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
START_TIMEOUT_SECONDS = 60


def report_missing(reason: str) -> NoReturn:
    """A missing server is a skip on a laptop and a failure in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def find_free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def emulator_command(port: int) -> list[str]:
    """The emulator of the local stack, in the foreground."""
    return [sys.executable, "-m", "deployments.local.emulator", "--host", "127.0.0.1", "--port", str(port)]


def wait_for_emulator(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Poll until the emulator answers; a failure with its exit code where it ends or stays silent."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with direct.open(f"{url}/moto-api/", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the emulator is not up after {START_TIMEOUT_SECONDS} s, exit code {process.poll()}")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS emulator of this session's own, empty at its start."""
    pytest.importorskip("moto", reason="the emulator is moto: uv sync") if os.environ.get("CI") != "true" else None
    port = find_free_port()
    log = tmp_path_factory.mktemp("emulator") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(emulator_command(port), cwd=CHECKOUT, stdout=output, stderr=output)
    try:
        wait_for_emulator(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def open_account(endpoint_url: str, account_id: str) -> AwsAccount:
    """The block of an emulated account, named as the local stack names its own."""
    return AwsAccount(
        name=f"test-{account_id}",
        account_id=account_id,
        role_arn=f"arn:aws:iam::{account_id}:role/terrarium",
        region=REGION,
        kind="emulator",
        endpoint_url=endpoint_url,
        state_bucket=f"terrarium-state-{account_id}-{REGION}",
        vault_bucket=f"terrarium-vault-{account_id}-{REGION}",
    )


def bootstrap(account: AwsAccount) -> AwsAccount:
    """Key and buckets, by a few calls: what infra/terraform/bootstrap makes takes Terraform 20 seconds."""
    kms = account.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/terrarium", TargetKeyId=key)
    s3 = account.client("s3")
    for bucket in (account.state_bucket, account.vault_bucket):
        place = {"LocationConstraint": REGION}
        is_vault = bucket == account.vault_bucket
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=is_vault)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}}
    s3.put_object_lock_configuration(Bucket=account.vault_bucket, ObjectLockConfiguration=lock)
    return account.model_copy(update={"kms_key_id": key})


@pytest.fixture
def account(emulator: str) -> AwsAccount:
    """A new, bootstrapped account of the emulator."""
    return bootstrap(open_account(emulator, f"{random.randrange(10**11, 10**12)}"))  # noqa: S311 - a name, no secret


@pytest.fixture(scope="session")
def terraform_program() -> Path:
    """Terraform from PATH or the setting; it is not downloaded for tests."""
    try:
        named = os.environ.get("TERRARIUM_TERRAFORM_PATH")
        return find_terraform(Path(named) if named else None, "none")
    except TerrariumError as error:
        report_missing(str(error))


@pytest.fixture(scope="session")
def provider_mirror() -> Path:
    """A folder with the AWS provider: without one, tests would fetch 150 MB."""
    named = os.environ.get("TERRARIUM_PROVIDER_MIRROR")
    found = find_provider_mirror(Path(named) if named else None)
    if found is None:
        report_missing("no provider mirror: name one with TERRARIUM_PROVIDER_MIRROR")
    return found
