"""Buckets with a replica in the recovery region: a listing of what was there is the backup's manifest, the replica is
the backup; and what can be said of the replica.

Invariant: an object that nobody could look for is never counted as there.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.backup import Answer, BackupVerdict, Manifest, Question, TableContent, answer, decide_verdict, judge_file

BUCKET: Final = "bucket"
#: What a manifest counts under this name.
OBJECTS = "objects"
#: So many current objects are listed and looked for; of a larger bucket the rest is not asked, and that is said.
LISTED_OBJECTS = 100_000
NOT_REPLICATED = "the emulator does not replicate"
TOO_MANY = f"only the first {LISTED_OBJECTS} objects were looked for"


class ObjectVersion(BaseModel):
    """An object as it was current. A replica keeps the version's id; under another key its ETag is another one."""

    model_config = ConfigDict(frozen=True)

    key: str
    version: str
    size_bytes: int


class ReplicaState(BaseModel):
    """What was read of both buckets: whether versions are kept, whether a rule copies, and what could not be read.

    `unreadable` are keys of a sample that the replica lists and does not give out.
    """

    model_config = ConfigDict(frozen=True)

    is_versioned: bool
    is_replica_versioned: bool
    has_rule: bool
    found: frozenset[ObjectVersion]
    sampled: int = 0
    unreadable: tuple[str, ...] = ()


def name_media(environment: str, account_id: str, region: str) -> str:
    """The bucket of media, or its replica in that region, as its Terraform names it."""
    return f"terrarium-{environment}-media-{account_id}-{region}"


def name_bucket_backup(backup_id: str) -> str:
    """The id of the listing that is taken beside a database's backup."""
    return f"{backup_id}-media"


def write_listing(objects: Iterable[ObjectVersion]) -> str:
    """A line of JSON for each object."""
    return "".join(f"{json.dumps([one.key, one.version, one.size_bytes])}\n" for one in objects)


def read_listing(text: str) -> list[ObjectVersion]:
    """What `write_listing` wrote."""
    rows = (json.loads(line) for line in text.splitlines())
    return [ObjectVersion(key=key, version=version, size_bytes=size) for key, version, size in rows]


def describe_listing(objects: Sequence[ObjectVersion], sha256: str, at: datetime) -> Manifest:
    """What is promised of a bucket: so many objects at that time, in the listing of that hash."""
    tables = {OBJECTS: TableContent(rows=len(objects))}
    return Manifest(kind=BUCKET, sha256=sha256, tables=tables, taken_at=at, recovery_point_at=at)


def judge_bucket(
    manifest: Manifest, sha256: str, size_bytes: int, listed: Collection[ObjectVersion], state: ReplicaState, *,
    is_emulated: bool,
) -> BackupVerdict:  # fmt: skip
    """Is the listing whole, are versions kept and copied, is every listed version in the replica and readable."""
    data = _judge_objects(listed, state, is_emulated=is_emulated)
    answers = {
        Question.FILE: judge_file(manifest, sha256, size_bytes),
        Question.ENGINE: _judge_settings(state),
        Question.DATA: data,
    }
    return decide_verdict(answers, None, manifest.recovery_point_at if data.passed else None)


def _judge_settings(state: ReplicaState) -> Answer:
    figures = state.model_dump(include={"is_versioned", "is_replica_versioned", "has_rule"})
    faults = {
        "the bucket keeps no versions": not state.is_versioned,
        "the replica keeps no versions": not state.is_replica_versioned,
        "no rule copies the bucket to the recovery region": not state.has_rule,
    }
    return answer(figures, [fault for fault, is_there in faults.items() if is_there])


def _judge_objects(listed: Collection[ObjectVersion], state: ReplicaState, *, is_emulated: bool) -> Answer:
    missing = [one for one in listed if one not in state.found]
    figures = {
        "listed": len(listed),
        "missing": len(missing),
        "read": state.sampled,
        "unreadable": len(state.unreadable),
    }
    if is_emulated:
        return Answer(passed=None, figures=figures, unasked=NOT_REPLICATED)
    faults = [f"{one.key}, version {one.version}, {one.size_bytes} bytes, is not in the replica" for one in missing]
    faults += [f"{key} cannot be read from the replica" for key in state.unreadable]
    if not faults and len(listed) >= LISTED_OBJECTS:
        return Answer(passed=None, figures=figures, unasked=TOO_MANY)
    return answer(figures, faults)
