"""An account as it is registered has the fields of the block that the flows load, and no key."""

import pytest
from pydantic import ValidationError

from blocks.aws import AwsAccount
from domain.account import Account, describe_change, keep_key, refuse_other
from domain.errors import RefusedError
from tasks.account import act_before_role

EMULATED = Account(
    name="team-b",
    account_id="333333333333",
    region="eu-central-1",
    kind="emulator",
    endpoint_url="http://127.0.0.1:5566",
    state_bucket="terrarium-state-3",
    vault_bucket="terrarium-vault-3",
)


def test_it_has_the_fields_of_the_block() -> None:
    """What is registered here is what a flow reads there."""
    assert set(Account.model_fields) == set(AwsAccount.model_fields)
    assert AwsAccount(**EMULATED.model_dump()).account_id == EMULATED.account_id


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "33333333333"},
        {"kind": "aws"},
        {"endpoint_url": None},
        {"endpoint_url": "file:///etc/passwd"},
        {"role_arn": "terrarium"},
        {"state_bucket": "S"},
        {"aws_secret_access_key": "x"},
        {"external_id_variable": "TERRARIUM_LEDGER_URL"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_account_is_refused(change: dict[str, object]) -> None:
    """A number of twelve digits, an address for an emulator alone, a role's ARN, and no field for a key."""
    with pytest.raises(ValidationError):
        Account.model_validate(EMULATED.model_dump() | change)


def test_a_name_keeps_its_number_and_kind() -> None:
    """Environments live where their account's name leads."""
    refuse_other(None, EMULATED)
    refuse_other(EMULATED, EMULATED.model_copy(update={"state_bucket": "another"}))
    with pytest.raises(RefusedError, match="is emulator 333333333333 already, not emulator 444444444444"):
        refuse_other(EMULATED, EMULATED.model_copy(update={"account_id": "4" * 12}))


@pytest.mark.parametrize("field", ["region", "state_bucket", "vault_bucket"])
def test_what_lives_there_keeps_its_place(field: str) -> None:
    """While environments live in it, an account's buckets stay where their states are; the rest may change."""
    moved = EMULATED.model_copy(update={field: "eu-west-1"})
    refuse_other(EMULATED, moved)
    refuse_other(EMULATED, EMULATED.model_copy(update={"kms_key_id": "another"}), ["dev"])
    with pytest.raises(RefusedError, match=f"team-b has dev, try: its {field} cannot change now"):
        refuse_other(EMULATED, moved, ["dev", "try"])


def test_the_key_of_the_bootstrap_stays() -> None:
    """Who registers an account again and names no key keeps the known one; in another region it is no key."""
    known = EMULATED.model_copy(update={"kms_key_id": "key"})
    assert keep_key(None, EMULATED).kms_key_id == ""
    assert keep_key(known, EMULATED).kms_key_id == "key"
    assert keep_key(known, EMULATED.model_copy(update={"kms_key_id": "other"})).kms_key_id == "other"
    assert keep_key(known, EMULATED.model_copy(update={"region": "eu-west-1"})).kms_key_id == ""


def test_a_change_is_told_field_by_field() -> None:
    """What was, and what is now."""
    assert describe_change(None, EMULATED) == "team-b: registered"
    changed = EMULATED.model_copy(update={"state_bucket": "another", "kms_key_id": "key"})
    assert describe_change(EMULATED, changed) == (
        "team-b: state_bucket terrarium-state-3 → another; kms_key_id - → key"
    )


def test_what_bootstraps_an_account_of_aws_is_not_its_role() -> None:
    """The role is made by the bootstrap; an emulator lets anybody be it."""
    role = "arn:aws:iam::333333333333:role/terrarium"
    emulated = AwsAccount(**EMULATED.model_dump() | {"role_arn": role})
    on_aws = emulated.model_copy(update={"kind": "aws", "endpoint_url": None})
    assert (act_before_role(on_aws).role_arn, act_before_role(emulated).role_arn) == ("", role)
