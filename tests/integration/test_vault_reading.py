"""A session that may only read a backup: what STS is told, and what an account makes of that policy.

The emulator keeps no session policies. So the request is looked at, and the same policy as a role's own is asked of an
emulator that does check who may do what.
"""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from blocks.aws import AwsAccount
from domain.errors import PermanentError
from domain.vault_policy import write_reading_policy

from .conftest import (
    CHECKOUT,
    REGION,
    bootstrap,
    emulator_command,
    find_free_port,
    open_account,
    wait_for_emulator,
)

TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}'

REFUSAL = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"


@pytest.fixture
def asked() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """An endpoint that refuses everything, and what it was asked."""
    requests: list[dict[str, list[str]]] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(403)
            self.send_header("Content-Length", str(len(REFUSAL)))
            self.end_headers()
            self.wfile.write(REFUSAL)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_role_is_assumed_with_the_policy(asked: tuple[str, list[dict[str, list[str]]]]) -> None:
    """And a run's name; without `for_reading` there is no policy."""
    url, requests = asked
    account = open_account(url, "123456789012").for_run("run-7")
    for one in (account.for_reading("backups/dev/b1/"), account):
        with pytest.raises(PermanentError), one.translated("reading"):
            one.client("s3").get_object(Bucket=account.vault_bucket, Key="backups/dev/b1/dump")
    narrow, wide = requests
    assert narrow["Action"] == wide["Action"] == ["AssumeRole"]
    assert narrow["RoleSessionName"] == wide["RoleSessionName"] == ["terrarium-run-7"]
    assert narrow["Policy"] == [write_reading_policy(account.vault_bucket, ("backups/dev/b1/",), REGION)]
    assert "Policy" not in wide


def test_the_session_reads_on_the_emulator(account: AwsAccount) -> None:
    """The same calls as with the role's own session."""
    account.client("s3").put_object(Bucket=account.vault_bucket, Key="backups/dev/b1/dump", Body=b"dump")
    reader = account.for_reading("backups/dev/b1/").client("s3")
    assert reader.get_object(Bucket=account.vault_bucket, Key="backups/dev/b1/dump")["Body"].read() == b"dump"


@pytest.fixture
def checking() -> Iterator[AwsAccount]:
    """A bootstrapped account of an emulator of its own, that from now on checks who may do what."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        emulator_command(port), cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_emulator(url, process)
        yield bootstrap(open_account(url, "123456789012"))
    finally:
        process.terminate()
        process.wait(20)


def test_a_role_of_that_policy_reads_one_backup_and_writes_nothing(checking: AwsAccount) -> None:
    """As AWS's own evaluation is modelled by the emulator; its conditions are not."""
    s3, bucket = checking.client("s3"), checking.vault_bucket
    keys = {"Bucket": bucket, "Key": "backups/dev/b1/dump"}
    s3.put_object(**keys, Body=b"dump")
    s3.put_object(Bucket=bucket, Key="backups/dev/b2/dump", Body=b"other")
    iam = checking.client("iam")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    policy = write_reading_policy(bucket, ("backups/dev/b1/",), REGION)
    iam.put_role_policy(RoleName="reader", PolicyName="reading", PolicyDocument=policy)
    found = checking.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    reader = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=checking.endpoint_url,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    switched = httpx.post(f"{checking.endpoint_url}/moto-api/reset-auth", content=b"0", trust_env=False)
    assert switched.is_success
    assert reader.get_object(**keys)["Body"].read() == b"dump"
    for forbidden in (
        lambda: reader.put_object(**keys, Body=b"another"),
        lambda: reader.delete_object(**keys),
        lambda: reader.get_object(Bucket=bucket, Key="backups/dev/b2/dump"),
        lambda: reader.list_objects_v2(Bucket=checking.state_bucket),
    ):
        with pytest.raises(ClientError) as caught:
            forbidden()
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
