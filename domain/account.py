"""An account as it is registered: where environments may live, and what Terrarium keeps there. It holds no key."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.declared import NAME_PATTERN
from domain.errors import RefusedError

#: Where an account keeps what its environments need to be found again.
PLACES = ("region", "state_bucket", "vault_bucket")
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"


class Account(BaseModel):
    """The fields of blocks/aws.py::AwsAccount; an emulator needs its address, AWS must not have one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=NAME_PATTERN, max_length=32, description="What specs call this account.", examples=["nonproduction"]
    )
    account_id: str = Field(pattern=r"^[0-9]{12}$", description="The twelve digits.", examples=["111111111111"])
    role_arn: str = Field(
        default="",
        pattern=r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512})?$",
        description="The role to assume; empty: the identity that the process already has.",
        examples=["arn:aws:iam::111111111111:role/terrarium"],
    )
    external_id_variable: str = Field(
        default="",
        # Not any variable: its value is sent to the account.
        pattern=r"^([A-Z0-9_]{0,60}EXTERNAL_ID[A-Z0-9_]{0,60})?$",
        description="Environment variable of the worker with the external id that the role asks for; empty: none.",
        examples=["TEAM_B_EXTERNAL_ID"],
    )
    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="Where the buckets are.", examples=["eu-central-1"]
    )
    kind: Literal["emulator", "aws"] = Field(description="An emulator answers on its own address, with dummy keys.")
    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]{1,200}$",
        description="The emulator's address; none for AWS.",
        examples=["http://127.0.0.1:5566"],
    )
    state_bucket: str = Field(pattern=BUCKET, description="States and saved plans.", examples=["terrarium-state-1"])
    vault_bucket: str = Field(pattern=BUCKET, description="What outlives environments.", examples=["terrarium-vault-1"])
    kms_key_id: str = Field(
        default="", pattern=r"^[A-Za-z0-9:/_-]{0,300}$", description="ARN or id of the key of both buckets."
    )

    @model_validator(mode="after")
    def _endpoint_fits_kind(self) -> Self:
        if (self.kind == "emulator") != (self.endpoint_url is not None):
            raise ValueError("an emulator needs endpoint_url, and an account of AWS has none")
        return self


def refuse_other(known: Account | None, wanted: Account, living: Sequence[str] = ()) -> None:
    """RefusedError where another account has the name, or another place for the states of what lives there.

    `living` are the environments that the account has now: they live where their account's name leads.
    """
    if known is None:
        return
    if (known.account_id, known.kind) != (wanted.account_id, wanted.kind):
        raise RefusedError(
            f"Account {wanted.name} is {known.kind} {known.account_id} already, not {wanted.kind} {wanted.account_id}.",
            "Give the new one another name.",
        )
    moved = [field for field in PLACES if getattr(known, field) != getattr(wanted, field)]
    if moved and living:
        raise RefusedError(
            f"Account {wanted.name} has {', '.join(living)}: its {', '.join(moved)} cannot change now.",
            "Their states and vault would be left behind. Destroy them first, or give the new one another name.",
        )


def keep_key(known: Account | None, wanted: Account) -> Account:
    """The wanted account with the key that is known, where it names none: the bootstrap has put that one there."""
    if known is None or wanted.kms_key_id or known.region != wanted.region:
        return wanted
    return wanted.model_copy(update={"kms_key_id": known.kms_key_id})


def describe_change(known: Account | None, wanted: Account) -> str:
    """What the ledger tells of a registration: the account, and each field that is another one now."""
    if known is None:
        return f"{wanted.name}: registered"
    before, after = known.model_dump(), wanted.model_dump()
    changed = [f"{key} {before[key] or '-'} → {after[key] or '-'}" for key in after if before[key] != after[key]]
    return f"{wanted.name}: {'; '.join(changed)}"
