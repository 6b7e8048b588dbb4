"""Whether a backup is one: what its manifest promises, five questions with their answers, and the verdict over them.

Invariant: what nobody could ask is never counted as an answer. A question without input is null and does not count; one
that is owed and could not be asked makes the verdict `incomplete`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import PermanentError
from domain.expectations import Checked, list_faults

#: How many faults of one kind an answer names; the rest is a number.
SHOWN_FAULTS = 20

Scalar = str | int | float | bool | None


class Question(StrEnum):
    """What is asked of a restored backup, in this order."""

    FILE = "file"  # is the file whole?
    ENGINE = "engine"  # does the engine think so?
    DATA = "data"  # does the data mean what it should?
    INVARIANTS = "invariants"  # do the rules of the business hold?
    SENTINELS = "sentinels"  # are the marks there, up to the promised recovery point?


class Told(BaseModel):
    """Something that a file or a flow tells; frozen."""

    model_config = ConfigDict(frozen=True)


class TableContent(Told):
    """How many rows a table has, and their hash; None for what nobody says."""

    rows: int | None = Field(None, ge=0)
    hash: str | None = Field(None, coerce_numbers_to_str=True)


class Sentinel(Told):
    """A row that has to be there: its table, the values of some of its columns, and when it was written."""

    table: str
    row: dict[str, Scalar] = Field(min_length=1)
    at: datetime | None = None


class Manifest(Told):
    """What a backup holds, as whoever made it tells; everything is optional.

    `undescribed` says why its tables could not be described though they should be: then their content is owed.
    """

    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")
    tables: dict[str, TableContent] = {}
    sentinels: tuple[Sentinel, ...] = ()
    taken_at: datetime | None = None
    recovery_point_at: datetime | None = None
    wal_position: str | None = None
    wal_from: str | None = Field(None, pattern=r"^[0-9A-F]{24}$")
    wal_to: str | None = Field(None, pattern=r"^[0-9A-F]{24}$")
    wal_archive: str | None = None
    schema_version: str | None = None
    server_version: str | None = None
    kind: str | None = None
    undescribed: str | None = None

    @property
    def promised_at(self) -> datetime | None:
        """Up to when the backup promises to have everything."""
        written = [one.at for one in self.sentinels if one.at]
        return self.recovery_point_at or max(written, default=None)


def read_manifest(text: str, source: str) -> tuple[Manifest, tuple[str, ...]]:
    """A manifest from JSON, and the keys that nobody here knows. PermanentError where it is none."""
    try:
        manifest = Manifest.model_validate_json(text)
        keys = tuple(sorted(json.loads(text).keys() - Manifest.model_fields.keys()))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise PermanentError(
            f"The manifest {source} cannot be read: {where}: {first['msg']}.",
            "docs/backups.md shows what a manifest looks like; every key may be left out.",
        ) from error
    return manifest, keys


class Answer(Told):
    """What became of one question. `unasked` says why it could not be asked though it is owed."""

    passed: bool | None
    figures: dict[str, Any] = {}
    faults: tuple[str, ...] = ()
    unasked: str = ""


NOBODY_ASKED = Answer(passed=None)


def answer(figures: Mapping[str, Any], faults: Iterable[str]) -> Answer:
    """Passed where there is no fault."""
    found = tuple(faults)
    more = len(found) - SHOWN_FAULTS
    shown = (*found[:SHOWN_FAULTS], f"and {more} more") if more > 0 else found
    return Answer(passed=not found, figures=dict(figures), faults=shown)


def not_restored(owed: Iterable[Question]) -> dict[Question, Answer]:
    """The answers to what cannot be asked of a backup that nothing came of."""
    return {question: Answer(passed=None, unasked="nothing was restored") for question in owed}


class VerdictStatus(StrEnum):
    """What a restore test says of a backup."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


class BackupVerdict(Told):
    """The answers, how long the restore took, and up to when the backup has everything."""

    status: VerdictStatus
    questions: dict[Question, Answer]
    restore_seconds: float | None
    recovery_point_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """As a face shows it."""
        return self.model_dump(mode="json")


def decide_verdict(
    answers: Mapping[Question, Answer], restore_seconds: float | None, recovery_point_at: datetime | None = None
) -> BackupVerdict:
    """Failed by one fault; incomplete where something owed was not asked, or nothing at all was; else passed."""
    questions = {question: answers.get(question, NOBODY_ASKED) for question in Question}
    return BackupVerdict(
        status=_decide_status(list(questions.values())),
        questions=questions,
        restore_seconds=None if restore_seconds is None else round(restore_seconds, 3),
        recovery_point_at=recovery_point_at,
    )


def _decide_status(answers: Sequence[Answer]) -> VerdictStatus:
    if any(one.passed is False for one in answers):
        return VerdictStatus.FAILED
    if any(one.unasked for one in answers) or not any(one.passed for one in answers):
        return VerdictStatus.INCOMPLETE
    return VerdictStatus.PASSED


def judge_file(manifest: Manifest, sha256: str, size_bytes: int) -> Answer:
    """Is the file whole: its sha256 against the manifest's. Without one there is nothing to compare."""
    figures = {"sha256": sha256, "bytes": size_bytes}
    if manifest.sha256 is None:
        return Answer(passed=None, figures=figures)
    is_same = manifest.sha256.lower() == sha256
    return answer(figures, [] if is_same else [f"sha256 is {sha256}, the manifest says {manifest.sha256.lower()}"])


def judge_contents(manifest: Manifest, found: Mapping[str, TableContent]) -> list[str]:
    """Where tables differ from the manifest: gone, with other rows, with another hash."""
    faults = []
    for name, promised in manifest.tables.items():
        table = found.get(name)
        if table is None:
            faults.append(f"{name} is not there")
        elif promised.rows is not None and promised.rows != table.rows:
            faults.append(f"{name} has {table.rows} rows, the manifest says {promised.rows}")
        elif promised.hash is not None and promised.hash != table.hash:
            faults.append(f"{name} has other content than the manifest says (row hash {table.hash})")
    return faults


def judge_schema(manifest: Manifest, found: str) -> list[str]:
    """Whether tables, columns, constraints and indexes are those that the manifest was made of."""
    if manifest.schema_version in (None, found):
        return []
    return [f"the schema has version {found}, the manifest says {manifest.schema_version}"]


def judge_data(
    manifest: Manifest,
    found: Mapping[str, TableContent],
    checked: Sequence[Checked],
    missing: Sequence[str],
    schema_version: str = "",
) -> Answer:
    """Does the data mean what it should: counts, hashes, schema and expectations. Null where none of them was given.

    Where the tables could not be described, expectations alone are no yes.
    """
    unasked = manifest.undescribed or ""
    if not (manifest.tables or manifest.schema_version or checked or missing):
        return Answer(passed=None, unasked=unasked)
    figures = {
        "schema_version": schema_version,
        "tables": {name: content.model_dump() for name, content in found.items()},
        "expectations": len(checked),
        "expectations_met": sum(one.passed for one in checked),
    }
    differences = [*judge_contents(manifest, found), *judge_schema(manifest, schema_version)]
    told = answer(figures, [*differences, *missing, *list_faults(checked)])
    return told.model_copy(update={"passed": None, "unasked": unasked}) if unasked and told.passed else told


def judge_invariants(broken: Mapping[str, int | str]) -> Answer:
    """Each rule with the number of rows that break it, or the reason why it could not be asked of this database."""
    faults = [
        f"{name}: {found} rows break it" if isinstance(found, int) else f"{name}: {found}"
        for name, found in broken.items()
        if found
    ]
    return answer({"asked": len(broken), "broken": len(faults)}, faults) if broken else NOBODY_ASKED


def judge_sentinels(manifest: Manifest, found: Sequence[bool | str]) -> tuple[Answer, datetime | None]:
    """Are the sentinels there; and the time up to which all of them are, None where their times are not known."""
    if not manifest.sentinels:
        return NOBODY_ASKED, manifest.promised_at
    pairs = list(zip(manifest.sentinels, found, strict=True))
    faults = [
        f"{sentinel.table}: {sentinel.row} is not there" + (f" ({there})" if isinstance(there, str) else "")
        for sentinel, there in pairs
        if there is not True
    ]
    missing = [one.at for one, there in pairs if there is not True and one.at]
    kept = [one.at for one, there in pairs if there is True and one.at and (not missing or one.at < min(missing))]
    reached = max(kept, default=None) if faults else manifest.promised_at
    figures = {"asked": len(pairs), "found": len(pairs) - len(faults)}
    return answer(figures, faults), reached
