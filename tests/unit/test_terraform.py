"""Terraform's streams as changes and errors: recorded from Terraform 1.11.4, AWS provider 5.100 on the emulator."""

from pathlib import Path

import pytest

from blocks.state_lock import LockedError
from blocks.terraform import Terraform
from blocks.terraform_stream import (
    Message,
    read_apply,
    read_errors,
    read_message,
    read_plan,
    translate_errors,
)
from domain.changes import Counts
from domain.errors import PermanentError, TemporaryError, TerrariumError

STREAMS = Path(__file__).with_name("streams")
FOLDER = Path("work/stacks/aws")


def read_stream(name: str) -> list[Message]:
    """A recorded stream."""
    lines = (STREAMS / f"{name}.jsonl").read_text().splitlines()
    return [message for message in map(read_message, lines) if message]


def fail_with(name: str, command: str) -> TerrariumError:
    """The error that a recorded stream becomes."""
    return translate_errors("environment dev", command, read_errors(read_stream(name)), FOLDER)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("plan_create", Counts(add=4)),
        ("plan_replace", Counts(add=1, destroy=1)),
        ("plan_drift", Counts(add=1, change=1)),
    ],
)
def test_plan_counts_what_terraform_counts(name: str, counts: Counts) -> None:
    """The changes read from a plan's messages add up to Terraform's own summary."""
    messages = read_stream(name)
    summary = next(row["changes"] for row in messages if row["type"] == "change_summary")
    assert read_plan(messages, has_changes=True).changes.counts == counts
    assert counts == Counts(add=summary["add"], change=summary["change"], destroy=summary["remove"])


def test_plan_names_what_changed_outside() -> None:
    """Drift is what Terraform reports as such, with the action that somebody outside took."""
    drift = read_plan(read_stream("plan_drift"), has_changes=True).drift
    assert {(row["resource"]["addr"], row["action"]) for row in drift} == {
        ("aws_s3_bucket.media", "update"),
        ("aws_sqs_queue.jobs", "delete"),
    }


def test_plan_keeps_the_reason_of_a_replacement() -> None:
    """A replaced resource carries Terraform's reason."""
    (change,) = read_plan(read_stream("plan_replace"), has_changes=True).changes.items
    assert (change.address, change.action, change.reason) == ('terraform_data.b["x"]', "replace", "requested")


def test_apply_answers_with_counts_and_outputs() -> None:
    """The end of an apply's stream has the numbers and the values: no second command is needed."""
    outcome = read_apply(read_stream("apply_create"))
    assert outcome.counts == Counts(add=4)
    assert outcome.outputs == {"o": "a"}


def test_sensitive_output_is_not_shown() -> None:
    """A sensitive output is named and has no value."""
    message = {"type": "outputs", "outputs": {"password": {"sensitive": True, "type": "string"}}}
    assert read_apply([message]).outputs == {"password": None}


def test_failed_apply_names_every_resource_and_a_way_out() -> None:
    """A failure is permanent and names each resource with its cause."""
    error = fail_with("apply_failed", "apply")
    assert isinstance(error, PermanentError)
    assert "environment dev: terraform apply failed" in error.summary
    assert "aws_iam_role_policy_attachment.nobody: attaching IAM Policy" in error.summary
    assert "aws_s3_bucket.twice: creating S3 Bucket (media-other)" in error.summary
    assert "it continues" in error.resolution


def test_unreachable_endpoint_is_temporary() -> None:
    """A refused connection passes by itself."""
    error = fail_with("plan_unreachable", "plan")
    assert isinstance(error, TemporaryError)
    assert "connection refused" in error.summary


@pytest.mark.parametrize(
    "cause",
    [
        "operation error EC2: CreateVpc, StatusCode: 400, RequestLimitExceeded: slow down",
        "operation error RDS: CreateDBInstance, https response error StatusCode: 503",
        "api error ThrottlingException: Rate exceeded",
    ],
)
def test_throttling_and_server_errors_are_temporary(cause: str) -> None:
    """AWS asking to wait, or failing itself, is worth another try; together with a lasting cause it is not."""
    passing = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": cause, "detail": ""}}
    lasting = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Invalid CIDR", "detail": ""}}
    assert isinstance(translate_errors("dev", "apply", read_errors([passing]), FOLDER), TemporaryError)
    assert isinstance(translate_errors("dev", "apply", read_errors([passing, lasting]), FOLDER), PermanentError)


def test_lock_error_names_the_holder() -> None:
    """Who holds the lock, since when, by which operation, and how to remove it by hand."""
    error = fail_with("plan_locked", "plan")
    assert isinstance(error, LockedError)
    assert error.holder.id == "973879a7-45ae-3a92-5532-51af2f2928cd"
    assert error.holder.operation == "OperationTypeApply"
    assert error.holder.created_at.isoformat() == "2026-11-24T08:38:27.764229+00:00"
    assert error.holder.who in error.summary
    assert "terraform force-unlock 973879a7-45ae-3a92-5532-51af2f2928cd" in error.resolution


def test_interrupted_apply_names_the_resource_and_not_the_echo() -> None:
    """`execution halted` follows from the interrupted resource and is left out."""
    error = fail_with("apply_interrupted", "apply")
    assert 'terraform_data.b["x"]' in error.summary
    assert "execution halted" not in error.summary


def test_stale_plan_says_to_plan_again() -> None:
    """A saved plan whose state has moved on is never worth another try."""
    stale = {
        "severity": "error",
        "summary": "Saved plan is stale",
        "detail": "The given plan file can no longer be applied",
    }
    error = translate_errors("dev", "apply", read_errors([{"type": "diagnostic", "diagnostic": stale}]), FOLDER)
    assert isinstance(error, PermanentError)
    assert "plan again" in error.resolution


def test_words_outside_json_are_no_message() -> None:
    """Terraform's warnings about its own configuration come as plain text before the stream."""
    assert read_message("There are some problems with the CLI configuration:") is None


def test_stderr_without_a_stream_is_the_error() -> None:
    """Where Terraform dies before its first message, what it said in colour is the cause, in plain words."""
    (error,) = read_errors([], "\x1b[31m╷\x1b[0m\n\x1b[31m│\x1b[0m Error: no room\n")
    assert str(error) == "Error: no room"


def test_looking_up_an_attribute_runs_nothing(tmp_path: Path) -> None:
    """python-terraform turns every unknown attribute into a command; only `<command>_cmd` is one here."""
    terraform = Terraform(tmp_path, "dev", program=Path("terraform"), environment={}, mirror=tmp_path)
    assert not hasattr(terraform, "model_dump")
    assert not hasattr(terraform, "_repr_html_")
    assert callable(terraform.validate_cmd)


def test_environment_has_nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own AWS_* and TF_* never reach Terraform."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE", "TF_VAR_region", "TF_CLI_ARGS", "TF_DATA_DIR"):
        monkeypatch.setenv(name, "decoy")
    terraform = Terraform(
        tmp_path, "dev", program=Path("terraform"), environment={"AWS_REGION": "eu-central-1"}, mirror=tmp_path
    )
    assert "decoy" not in terraform._environment.values()
    assert terraform._environment["AWS_REGION"] == "eu-central-1"
    assert {"PATH", "TF_IN_AUTOMATION", "CHECKPOINT_DISABLE", "TF_CLI_CONFIG_FILE"} <= terraform._environment.keys()
    assert terraform._environment["TF_INPUT"] == "0"
