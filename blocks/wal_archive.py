"""WAL segments in an account's vault bucket, compressed: kept once, and never another content under the same name.

It takes a client and not an account: the uploader, which runs as long as its pair, is small without Prefect.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import PermanentError

DIGEST = "sha256"


class ArchivePlace(BaseModel):
    """Where segments go, and as whom: what an uploader is told. `prefix` ends with a slash."""

    model_config = ConfigDict(frozen=True)

    spool: Path
    bucket: str
    prefix: str
    region: str
    endpoint_url: str | None
    role_arn: str
    encryption: dict[str, str]


def name_prefix(environment: str, system_identifier: str) -> str:
    """Below which a pair's segments are: two pairs of one name, one after the other, are two."""
    return f"wal/{environment}/{system_identifier}/"


def segment_key(prefix: str, name: str) -> str:
    """Where a segment is."""
    return f"{prefix}{name}.gz"


def put_segment(client: Any, place: ArchivePlace, path: Path) -> None:
    """Keep one. PermanentError where another content is there: two servers must never write one archive."""
    content = path.read_bytes()
    digest, key = hashlib.sha256(content).hexdigest(), segment_key(place.prefix, path.name)
    kept = read_digest(client, place.bucket, key)
    if kept not in (None, digest):
        raise PermanentError(
            f"The WAL archive has another {path.name} below {place.prefix} than the server has.",
            "Two servers wrote to it: fence the one that is not the primary. Nothing was overwritten.",
        )
    if kept is None:
        body = gzip.compress(content, compresslevel=1, mtime=0)
        metadata: Mapping[str, str] = {DIGEST: digest}
        client.put_object(Bucket=place.bucket, Key=key, Body=body, Metadata=metadata, **place.encryption)


def read_digest(client: Any, bucket: str, key: str) -> str | None:
    """The sha256 of what was kept, before it was compressed; None where nothing was."""
    from botocore.exceptions import ClientError

    try:
        return str(client.head_object(Bucket=bucket, Key=key)["Metadata"].get(DIGEST, ""))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return None


def list_segments(client: Any, bucket: str, prefix: str) -> list[str]:
    """The names below a prefix, in the order of the WAL."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
    return sorted(key.removeprefix(prefix).removesuffix(".gz") for key in keys)


def fetch_segment(client: Any, bucket: str, prefix: str, name: str) -> bytes:
    """One segment as the server wrote it; botocore's error where it is not there."""
    body = client.get_object(Bucket=bucket, Key=segment_key(prefix, name))["Body"].read()
    return gzip.decompress(body)
