"""What a restore test may do in an account: read one backup and its WAL in the vault, and nothing else.

A session policy only ever takes away: what the role may not do, its session may not either.
"""

import json
from collections.abc import Sequence

#: What the name of a service ends in, as KMS tells it. China's have another one, which no account told us: both are S3.
SUFFIX = "amazonaws.com"
SUFFIXES = {"aws-cn": (SUFFIX, f"{SUFFIX}.cn")}


def write_reading_policy(bucket: str, prefixes: Sequence[str], region: str, partition: str = "aws") -> str:
    """The session policy, as AWS reads it: objects below the prefixes, and the key, for S3 alone.

    An empty prefix would be the whole vault, and is none.
    """
    place = f"arn:{partition}:s3:::{bucket}"
    below = [f"{prefix}*" for prefix in prefixes if prefix]
    via = {"StringEquals": {"kms:ViaService": [f"s3.{region}.{one}" for one in SUFFIXES.get(partition, (SUFFIX,))]}}
    statements = [
        _allow(["s3:GetObject", "s3:GetObjectVersion"], [f"{place}/{one}" for one in below]),
        _allow(["s3:ListBucket"], [place]) | {"Condition": {"StringLike": {"s3:prefix": below}}},
        _allow(["kms:Decrypt"], ["*"]) | {"Condition": via},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _allow(actions: list[str], resources: list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
