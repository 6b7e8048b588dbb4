"""An account of the emulator: whose it is, what we keep in it, and how its errors read."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.aws import AwsAccount, state_key
from blocks.aws_objects import copy_to_vault, empty_bucket, measure_vault, move_to_vault
from domain.errors import PermanentError, RefusedError, TemporaryError

from .conftest import REGION, find_free_port, open_account


def put_objects(account: AwsAccount, bucket: str, keys: list[str]) -> None:
    """Small objects, several at a time."""
    s3 = account.client("s3")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=key.encode()), keys))


def make_bucket(account: AwsAccount, name: str) -> str:
    """A versioned bucket of the account's."""
    s3 = account.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def test_calls_land_in_the_account_and_name_the_run(account: AwsAccount) -> None:
    """The role's account answers, and the session carries the run's id for CloudTrail."""
    assert account.identity()["account"] == account.account_id
    arn = account.for_run("run-7").client("sts").get_caller_identity()["Arn"]
    assert arn.endswith("assumed-role/terrarium/terrarium-run-7")


def test_another_accounts_role_is_refused(account: AwsAccount, emulator: str) -> None:
    """A block whose role and account differ never acts: both ids are told."""
    wrong = open_account(emulator, account.account_id).model_copy(
        update={"role_arn": "arn:aws:iam::999988887777:role/terrarium"}
    )
    with pytest.raises(RefusedError, match=rf"999988887777.*not in {account.account_id}"):
        wrong.identity()


def test_clients_are_kept_and_speak_to_their_region(account: AwsAccount) -> None:
    """One client a service and region, also for callers in several threads."""
    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _: account.client("sqs", "eu-west-1"), range(16)))
    (client,) = clients
    assert client.meta.region_name == "eu-west-1"
    assert account.client("sqs").meta.region_name == REGION
    assert account.session().client("sqs").meta.endpoint_url == account.endpoint_url


def test_bootstrapped_is_both_buckets(account: AwsAccount, emulator: str) -> None:
    """An account without its vault is not bootstrapped."""
    assert account.is_bootstrapped()
    assert not open_account(emulator, "123123123123").is_bootstrapped()
    account.client("s3").delete_bucket(Bucket=account.vault_bucket)
    assert not account.is_bootstrapped()


def test_saved_plan_is_encrypted_and_its_deletion_leaves_no_version(account: AwsAccount) -> None:
    """A plan may hold a secret: SSE-KMS with the account's key, and nothing is left of it."""
    assert account.put_plan("dev", "7", b"plan") == f"s3://{account.state_bucket}/plans/dev/7"
    account.put_plan("dev", "77", b"other plan")
    head = account.client("s3").head_object(Bucket=account.state_bucket, Key="plans/dev/7")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", account.kms_key_id)
    assert account.read_plan("dev", "7") == b"plan"
    account.delete_plan("dev", "7")
    account.delete_plan("dev", "7")
    with pytest.raises(PermanentError, match="Plan again"):
        account.read_plan("dev", "7")
    versions = account.client("s3").list_object_versions(Bucket=account.state_bucket, Prefix="plans/")
    assert [row["Key"] for row in versions["Versions"]] == ["plans/dev/77"]
    assert "DeleteMarkers" not in versions


def test_state_and_lock_are_read_without_terraform(account: AwsAccount) -> None:
    """What the S3 backend keeps: the state as JSON, and beside it who holds the lock."""
    key = state_key("dev")
    assert (account.read_state("dev"), account.read_lock(key)) == (None, None)
    lock = '{"ID":"7","Who":"me@here","Operation":"OperationTypeApply","Created":"2026-11-24T08:38:27.764229723Z"}'
    s3 = account.client("s3")
    s3.put_object(Bucket=account.state_bucket, Key=key, Body=b'{"serial": 3}')
    s3.put_object(Bucket=account.state_bucket, Key=f"{key}.tflock", Body=lock.encode())
    assert account.read_state("dev") is not None
    assert account.read_state("dev") == {"serial": 3}
    holder = account.read_lock(key)
    assert holder
    assert (holder.id, holder.who) == ("7", "me@here")
    assert holder.created_at == datetime(2026, 11, 24, 8, 38, 27, 764229, tzinfo=UTC)


def test_bucket_is_emptied_of_all_versions_and_markers(account: AwsAccount) -> None:
    """More than one page, old versions and delete markers too; then the bucket can go, and twice is once."""
    bucket = make_bucket(account, f"media-{account.account_id}")
    keys = [f"photos/{number}" for number in range(1005)]
    put_objects(account, bucket, keys)
    put_objects(account, bucket, keys[:3])
    account.client("s3").delete_object(Bucket=bucket, Key=keys[0])
    assert empty_bucket(account, bucket) == 1005 + 3 + 1
    account.client("s3").delete_bucket(Bucket=bucket)
    assert empty_bucket(account, bucket) == 0


def test_media_is_copied_to_the_vault(account: AwsAccount) -> None:
    """Current objects, below a prefix; large ones in parts."""
    bucket = make_bucket(account, f"media-{account.account_id}")
    put_objects(account, bucket, ["a", "b/c", "gone"])
    s3 = account.client("s3")
    s3.delete_object(Bucket=bucket, Key="gone")
    large = b"x" * (9 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(large), bucket, "z-large")
    copied = copy_to_vault(account, bucket, "dev/2026/")
    assert copied == (3, 4 + len(large))
    listed = s3.list_objects_v2(Bucket=account.vault_bucket)["Contents"]
    assert {row["Key"]: row["Size"] for row in listed} == {
        "dev/2026/a": 1,
        "dev/2026/b/c": 3,
        "dev/2026/z-large": len(large),
    }
    assert measure_vault(account, "dev/2026/") == copied


def test_media_is_moved_with_what_was_written_since_the_copy(account: AwsAccount) -> None:
    """The newest version of each object is in the vault once, however often its bucket is moved."""
    bucket = make_bucket(account, f"media-{account.account_id}")
    keys = [f"photos/{number}" for number in range(1005)]
    put_objects(account, bucket, keys)
    put_objects(account, bucket, keys[-3:])
    s3 = account.client("s3")
    s3.delete_object(Bucket=bucket, Key=keys[0])
    assert copy_to_vault(account, bucket, "dev/1/")[0] == 1004
    s3.put_object(Bucket=bucket, Key=keys[1], Body=b"written later")
    s3.put_object(Bucket=bucket, Key="late", Body=b"late")
    assert move_to_vault(account, bucket, "dev/1/") == 1005 + 3 + 1 + 2
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)
    assert measure_vault(account, "dev/1/")[0] == 1005
    read = {
        key: s3.get_object(Bucket=account.vault_bucket, Key=f"dev/1/{key}")["Body"].read() for key in (keys[1], "late")
    }
    assert read == {keys[1]: b"written later", "late": b"late"}
    copies = s3.list_object_versions(Bucket=account.vault_bucket, Prefix="dev/1/photos/2")["Versions"]
    assert all(row["IsLatest"] for row in copies)
    assert move_to_vault(account, bucket, "dev/1/") == 0


def test_media_written_after_versioning_ended_is_moved(account: AwsAccount) -> None:
    """A teardown that was interrupted took the versioning away, and a service still writes."""
    bucket = make_bucket(account, f"media-{account.account_id}")
    put_objects(account, bucket, ["a", "b"])
    s3 = account.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    for key in ("b", "late"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"later")
    move_to_vault(account, bucket, "dev/2/")
    assert measure_vault(account, "dev/2/") == (3, 1 + 5 + 5)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_a_bucket_that_is_gone_has_nothing_to_copy(account: AwsAccount) -> None:
    """A teardown that is repeated after its bucket went is not held up; what it copied before is still there."""
    account.client("s3").put_object(Bucket=account.vault_bucket, Key="media/dev/1/a", Body=b"photo")
    account.client("s3").put_object(Bucket=account.vault_bucket, Key="media/dev/11/a", Body=b"another life's")
    assert copy_to_vault(account, "gone", "media/dev/1/") == (0, 0)
    assert measure_vault(account, "media/dev/1/") == (1, 5)


def test_an_endpoint_that_is_down_is_temporary() -> None:
    """It is named, after a bounded number of attempts."""
    account = open_account(f"http://127.0.0.1:{find_free_port()}", "111111111111")
    with pytest.raises(TemporaryError, match="Could not connect to the endpoint URL"):
        account.identity()


def test_an_emulated_account_without_endpoint_never_calls_aws() -> None:
    """It is refused before any call."""
    account = open_account("", "111111111111")
    with pytest.raises(PermanentError, match="has no endpoint_url"):
        account.identity()
    with pytest.raises(PermanentError, match="has no endpoint_url"):
        account.environment()


def test_environment_of_an_emulated_account_is_its_own(account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dummy keys, the emulator's address, no files of the user's, no metadata service."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE", "HTTPS_PROXY", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "decoy")
    environment = account.environment()
    assert "decoy" not in environment.values()
    assert environment["AWS_ENDPOINT_URL"] == account.endpoint_url
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


def test_environment_of_a_real_account_is_who_we_are_and_no_endpoint(
    account: AwsAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On AWS the process's identity passes; what would send calls elsewhere does not."""
    real = account.model_copy(update={"kind": "aws"})
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://decoy")
    environment = real.environment()
    assert environment["AWS_WEB_IDENTITY_TOKEN_FILE"] == str(tmp_path)
    assert "AWS_ENDPOINT_URL" not in environment
    assert "use_path_style" not in real.terraform_backend("key")


def test_real_account_is_reached_at_its_own_address(account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's AWS_ENDPOINT_URL sends the calls for a real account elsewhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://decoy")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    real = open_account("", "111111111111").model_copy(update={"kind": "aws", "role_arn": ""})
    assert real.client("sqs").meta.endpoint_url == f"https://sqs.{REGION}.amazonaws.com"
