"""Snapshots of an RDS database as backups: their manifest, and what a restored one can answer.

Invariant: no verdict over a snapshot is `passed` while nobody has looked into the restored database: what AWS says of a
snapshot and of the instance made of it can fail a backup, and never prove one.
"""

from collections.abc import Iterator
from typing import Any, Final

from domain.backup import (
    Answer,
    BackupVerdict,
    Manifest,
    Question,
    answer,
    decide_verdict,
    not_restored,
)
from domain.rds import AVAILABLE, Instance, Snapshot

RDS_SNAPSHOT: Final = "rds-snapshot"
EMULATED = "an emulated snapshot holds no data"
NOT_CONNECTED = "this version opens no connection to a restored RDS instance"
NO_CHECKSUM = "AWS tells no checksum of a snapshot; nothing that it does tell is wrong"
NOT_SCANNED = "the instance came up from it; this version opens no connection, so its pages were not checked"
#: What only a look into the database can answer.
INSIDE = (Question.DATA, Question.INVARIANTS, Question.SENTINELS)


def describe_snapshot(snapshot: Snapshot) -> Manifest:
    """What is promised of a snapshot: when it was taken, and of which version. Rows and sentinels nobody could read."""
    return Manifest(
        kind=RDS_SNAPSHOT,
        taken_at=snapshot.created_at,
        recovery_point_at=snapshot.created_at,
        server_version=snapshot.engine_version,
    )


def judge_restored(
    manifest: Manifest,
    snapshot: Snapshot | None,
    restored: Instance | None,
    restore_seconds: float | None,
    *,
    is_emulated: bool,
) -> BackupVerdict:
    """Failed by what AWS tells, else incomplete, each question with the reason why it was not asked.

    `restore_seconds` of an emulator is nobody's: it is left out.
    """
    file = _judge_file(manifest, snapshot, is_emulated=is_emulated)
    if restored is None:
        return decide_verdict({Question.FILE: file, **not_restored((Question.ENGINE, *INSIDE))}, None)
    reason = EMULATED if is_emulated else NOT_CONNECTED
    answers = {
        Question.FILE: file,
        Question.ENGINE: _judge_engine(manifest, restored, is_emulated=is_emulated),
        **{question: Answer(passed=None, unasked=reason) for question in INSIDE},
    }
    return decide_verdict(answers, None if is_emulated else restore_seconds)


def _judge_file(manifest: Manifest, snapshot: Snapshot | None, *, is_emulated: bool) -> Answer:
    if snapshot is None:
        return answer({}, ["the snapshot is not there any more"])
    figures = snapshot.model_dump(mode="json", include={"status", "progress_percent", "is_encrypted", "storage_gib"})
    faults = list(_find_snapshot_faults(manifest, snapshot))
    return _unless_faulty(figures, faults, EMULATED if is_emulated else NO_CHECKSUM)


def _find_snapshot_faults(manifest: Manifest, snapshot: Snapshot) -> Iterator[str]:
    if snapshot.status != AVAILABLE or snapshot.progress_percent < 100:
        yield f"the snapshot is {snapshot.status}, {snapshot.progress_percent} % of it"
    if not snapshot.is_encrypted:
        yield "the snapshot is not encrypted"
    if manifest.taken_at != snapshot.created_at:
        yield f"the snapshot was taken at {snapshot.created_at}, the manifest says {manifest.taken_at}"
    if manifest.server_version != snapshot.engine_version:
        yield f"the snapshot is of version {snapshot.engine_version}, the manifest says {manifest.server_version}"


def _judge_engine(manifest: Manifest, restored: Instance, *, is_emulated: bool) -> Answer:
    figures = restored.model_dump(mode="json", include={"status", "engine_version", "is_encrypted", "is_public"})
    faults = list(_find_instance_faults(manifest, restored))
    return _unless_faulty(figures, faults, EMULATED if is_emulated else NOT_SCANNED)


def _find_instance_faults(manifest: Manifest, restored: Instance) -> Iterator[str]:
    if restored.status != AVAILABLE:
        yield f"the restored instance is {restored.status}"
    if restored.engine_version != manifest.server_version:
        yield f"the restored instance is of {restored.engine_version}, the manifest says {manifest.server_version}"
    if restored.is_public:
        yield "the restored instance could be reached from the internet"
    if not restored.is_encrypted:
        yield "the restored instance is not encrypted"


def _unless_faulty(figures: dict[str, Any], faults: list[str], unasked: str) -> Answer:
    return answer(figures, faults) if faults else Answer(passed=None, figures=figures, unasked=unasked)
