"""What a restore test's session may do."""

import json

from domain.vault_policy import write_reading_policy

#: The most that STS takes.
MOST_CHARACTERS = 2048


def test_it_reads_below_its_prefixes_alone() -> None:
    """No action that changes anything; nothing of another backup, of the state or of another service."""
    text = write_reading_policy("terrarium-vault-1", ("backups/dev/b1/", "wal/dev/7/"), "eu-central-1")
    statements = json.loads(text)["Statement"]
    assert [one["Effect"] for one in statements] == ["Allow"] * 3
    actions = {action for one in statements for action in one["Action"]}
    assert actions == {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "kms:Decrypt"}
    assert statements[0]["Resource"] == [
        "arn:aws:s3:::terrarium-vault-1/backups/dev/b1/*",
        "arn:aws:s3:::terrarium-vault-1/wal/dev/7/*",
    ]
    assert statements[1]["Condition"] == {"StringLike": {"s3:prefix": ["backups/dev/b1/*", "wal/dev/7/*"]}}
    assert statements[2]["Condition"] == {"StringEquals": {"kms:ViaService": ["s3.eu-central-1.amazonaws.com"]}}
    narrow = json.loads(write_reading_policy("v", ("", "a/"), "eu-central-1"))
    assert narrow["Statement"][0]["Resource"] == ["arn:aws:s3:::v/a/*"]


def test_another_partition_has_other_names() -> None:
    """China's services end otherwise: with AWS's own names nothing could be decrypted there."""
    china = json.loads(write_reading_policy("v", ("a/",), "cn-north-1", "aws-cn"))["Statement"]
    assert china[0]["Resource"] == ["arn:aws-cn:s3:::v/a/*"]
    assert china[2]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]}
    }
    government = json.loads(write_reading_policy("v", ("a/",), "us-gov-west-1", "aws-us-gov"))["Statement"]
    assert government[2]["Condition"] == {"StringEquals": {"kms:ViaService": ["s3.us-gov-west-1.amazonaws.com"]}}


def test_it_fits_into_a_request() -> None:
    """With the longest names that there are."""
    prefix = f"backups/{'e' * 63}/{'e' * 63}-20261124T120000Z-media/"
    text = write_reading_policy("v" * 63, (prefix, f"wal/{'e' * 63}/{'7' * 20}/"), "eu-central-1")
    assert len(text) < MOST_CHARACTERS
