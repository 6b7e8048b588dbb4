"""Accounts as they are registered."""

import pytest
from pydantic import ValidationError

from blocks.aws import AwsAccount
from domain.account import Account, refuse_other
from domain.errors import RefusedError

FIELDS = {
    "name": "team",
    "account_id": "333333333333",
    "region": "eu-central-1",
    "state_bucket": "terrarium-state-3",
    "vault_bucket": "terrarium-vault-3",
}


def test_an_emulator_has_an_address_and_aws_has_none() -> None:
    """The one is reached where it says, the other where AWS is, whatever a variable says."""
    Account(**FIELDS, kind="aws")
    Account(**FIELDS, kind="emulator", endpoint_url="http://127.0.0.1:5566")
    for wrong in ({"kind": "emulator"}, {"kind": "aws", "endpoint_url": "http://127.0.0.1:5566"}):
        with pytest.raises(ValidationError, match="an emulator needs endpoint_url"):
            Account(**FIELDS, **wrong)


def test_an_account_keeps_its_number_and_kind() -> None:
    """Environments live where its name leads."""
    known = Account(**FIELDS, kind="aws")
    refuse_other(None, known)
    refuse_other(known, known.model_copy(update={"role_arn": "arn:aws:iam::333333333333:role/terrarium"}))
    with pytest.raises(RefusedError, match="is aws 333333333333 already, not aws 444444444444"):
        refuse_other(known, known.model_copy(update={"account_id": "444444444444"}))


def test_a_registered_account_has_every_field_of_the_block() -> None:
    """A change through the API drops nothing that the block holds."""
    assert set(Account.model_fields) == set(AwsAccount.model_fields)


def test_what_bootstraps_an_account_of_aws_is_not_its_role() -> None:
    """The role is made by the bootstrap; an emulator lets anybody be it."""
    from tasks.account import act_before_role

    role = "arn:aws:iam::333333333333:role/terrarium"
    on_aws = AwsAccount(**FIELDS, kind="aws", role_arn=role)
    emulated = AwsAccount(**FIELDS, kind="emulator", endpoint_url="http://127.0.0.1:1", role_arn=role)
    assert (act_before_role(on_aws).role_arn, act_before_role(emulated).role_arn) == ("", role)
