"""Dumps verified: sound ones pass in every format, each corruption is noticed by the questions that should."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.scratch.verification import Wanted, verify_dump
from blocks.settings import CHECKOUT
from console.cli import run
from domain.backup import Manifest, Question, VerdictStatus
from domain.expectations import read_suites
from tests.backup_faults import CORRUPTIONS, Corruption, hash_file
from tests.backup_source import INVARIANTS, Source, create_source, write_json, write_suites
from tests.postgres_server import PostgresServer

ROWS = 3000
FORMATS = ("custom", "tar", "directory", "plain")
#: What a dump may try that is no data. None of it is refused by the reader of the file.
HOSTILE = {
    "program": "CREATE TABLE t (x text); COPY t FROM PROGRAM 'touch {mark}';",
    "function in C": "CREATE FUNCTION f(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system';",
    "event trigger": "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION e();",
    "file of the server": "CREATE TABLE t (x text); COPY t FROM '/etc/passwd';",
    "superuser": "ALTER ROLE terrarium_scratch SUPERUSER;",
    "settings": "ALTER SYSTEM SET archive_command = 'touch {mark}';",
}


@pytest.fixture(scope="module")
def source(postgres: PostgresServer) -> Iterator[Source]:
    """A sound database."""
    source = create_source(postgres, ROWS)
    yield source
    source.drop()


def want(source: Source, manifest: Manifest) -> Wanted:
    """What its team holds a backup against, with a manifest."""
    suites = read_suites(json.dumps(write_suites(source.now)), "suites")
    return Wanted(manifest=manifest, suites=suites, invariants=INVARIANTS)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_dump_passes(source: Source, tmp_path: Path, kind: str) -> None:
    """In every format, with all five questions asked, and nothing is left."""
    file = source.dump(tmp_path / "dump", kind)
    sha256 = None if kind == "directory" else hash_file(file)
    verdict = verify_dump(file, want(source, source.describe(sha256)), tmp_path / "scratch", source.server.binaries)
    assert verdict.status == VerdictStatus.PASSED, verdict.to_json()
    unasked = {question for question, found in verdict.questions.items() if found.passed is None}
    assert unasked == ({Question.FILE} if kind == "directory" else set())
    assert verdict.recovery_point_at == source.now
    assert verdict.restore_seconds is not None
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_corruption_is_noticed(source: Source, tmp_path: Path, corruption: Corruption) -> None:
    """By each question that can, and by no other: so without that question it would go through."""
    damaged = corruption.make(source, tmp_path)
    verdict = verify_dump(damaged.file, want(source, damaged.manifest), tmp_path / "scratch", source.server.binaries)
    noticed = {question for question, found in verdict.questions.items() if found.passed is False}
    assert verdict.status == VerdictStatus.FAILED, verdict.to_json()
    assert noticed >= corruption.noticed_by, verdict.to_json()
    if Question.ENGINE not in noticed:  # else the rest is missing too
        assert noticed == corruption.noticed_by, verdict.to_json()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE booking ADD note text",
        "ALTER TABLE author DROP CONSTRAINT author_pkey CASCADE",
        "CREATE INDEX late ON post (title)",
        "CREATE TABLE more (id int)",
    ],
)
def test_another_schema_is_noticed(source: Source, tmp_path: Path, change: str) -> None:
    """By its version alone, which stays the same over a dump and its restore."""
    other = source.copy()
    try:
        other.execute(change)
        file = other.dump(tmp_path / "dump")
        own = other.describe().schema_version
    finally:
        other.drop()
    sound = source.describe().schema_version
    for version, passed in ((own, True), (sound, False)):
        wanted = Wanted(manifest=Manifest(schema_version=version))
        data = verify_dump(file, wanted, tmp_path / "scratch", source.server.binaries).questions[Question.DATA]
        assert (data.passed, data.figures["schema_version"]) == (passed, own), data
    assert data.faults == (f"the schema has version {own}, the manifest says {sound}",)


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_dump_that_wants_more_than_data_fails(postgres: PostgresServer, tmp_path: Path, trick: str) -> None:
    """And what it wanted did not happen on this machine."""
    tmp_path.chmod(0o777)
    mark = tmp_path / "mark"
    file = tmp_path / "dump.sql"
    file.write_text(f"CREATE TABLE a (id int);\n{HOSTILE[trick].format(mark=mark)}\n")
    verdict = verify_dump(file, Wanted(), tmp_path / "scratch", postgres.binaries)
    assert verdict.questions[Question.ENGINE].passed is False
    assert "denied" in verdict.questions[Question.ENGINE].faults[0] or "must be" in str(verdict.questions)
    assert not mark.exists()


#: What dumps of other people hold beside tables.
FURNITURE = """
CREATE ROLE guest_{number};
CREATE EXTENSION pgcrypto;
CREATE SCHEMA sales AUTHORIZATION guest_{number};
CREATE TYPE sales.mood AS ENUM ('fair', 'foul');
CREATE TABLE sales.day (at date NOT NULL, mood sales.mood, n int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (at);
CREATE TABLE sales.day_2026 PARTITION OF sales.day FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO sales.day VALUES ('2026-11-24', 'fair'), ('2026-11-25', 'foul');
CREATE VIEW sales.foul AS SELECT * FROM sales.day WHERE mood = 'foul';
CREATE MATERIALIZED VIEW sales.summary AS SELECT mood, count(*) FROM sales.day GROUP BY mood;
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON sales.day_2026 FOR EACH ROW EXECUTE FUNCTION sales.touch();
ALTER TABLE sales.day ENABLE ROW LEVEL SECURITY;
CREATE POLICY guests ON sales.day TO guest_{number} USING (mood = 'fair');
GRANT SELECT ON ALL TABLES IN SCHEMA sales TO guest_{number};
COMMENT ON SCHEMA public IS 'ours';
SELECT lo_from_bytea(0, 'large');
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_what_others_keep_in_a_database_is_no_fault(postgres: PostgresServer, tmp_path: Path, kind: str) -> None:
    """Roles, policies, views, partitions, extensions, triggers, large objects: restored, and asked by name."""
    source = create_source(postgres, 300)
    try:
        for statement in FURNITURE.format(number=os.getpid()).strip().split(";\n"):
            source.execute(statement)
        file, manifest = source.dump(tmp_path / "dump", kind), source.describe()
    finally:
        source.drop()
        postgres.execute(f"DROP ROLE guest_{os.getpid()}")
    assert manifest.tables["sales.day"].rows == 2
    part = {"sales.day_2026": manifest.tables["sales.day"].model_copy(update={"hash": None})}
    counts = {"expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}]}
    suites = read_suites(json.dumps({"sales.foul": counts}), "suites")
    wanted = Wanted(manifest=manifest.model_copy(update={"tables": {**manifest.tables, **part}}), suites=suites)
    verdict = verify_dump(file, wanted, tmp_path / "scratch", postgres.binaries)
    assert verdict.status == VerdictStatus.PASSED, verdict.to_json()


def test_expectations_of_what_is_not_there_are_not_met(source: Source, tmp_path: Path) -> None:
    """A table or a column that is gone is a fault of the data, and each is named."""
    column = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "gone"}}
    suites = read_suites(json.dumps({name: {"expectations": [column]} for name in ("post", "nothing")}), "suites")
    wanted = Wanted(suites=suites)
    verdict = verify_dump(source.dump(tmp_path / "dump"), wanted, tmp_path / "scratch", source.server.binaries)
    found = verdict.questions[Question.DATA]
    assert found.passed is False
    assert [fault.partition(":")[0] for fault in found.faults] == ["nothing is not there, and has expectations", "post"]


def _verify(*arguments: str) -> tuple[int, dict[str, object], str]:
    command = [Path(sys.executable).with_name("terrarium"), "backup", "verify", *arguments, "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_the_command_line_verifies_a_dump(source: Source, tmp_path: Path) -> None:
    """Code 0 and a verdict; with a manifest of something else code 3, and an unknown key is told."""
    file = source.dump(tmp_path / "dump")
    suites = write_json(tmp_path / "suites.json", write_suites(source.now))
    code, told, _ = _verify("--file", str(file), "--expectations", str(suites))
    assert (code, told["status"]) == (0, "passed"), told
    questions = told["questions"]
    assert isinstance(questions, dict)
    assert {name: found["passed"] for name, found in questions.items()} == {
        "file": None, "engine": True, "data": True, "invariants": None, "sentinels": None,
    }  # fmt: skip
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"tables": {"post": {"rows": 1}}, "made_by": "hand"}))
    code, told, words = _verify("--file", str(file), "--expectations", str(suites), "--manifest", str(manifest))
    assert (code, told["status"]) == (3, "failed")
    assert "made_by" in words


def test_the_command_line_refuses_what_is_no_question(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Suites that are none end with code 1 and a way out: nobody takes them for expectations that are met."""
    file = source.dump(tmp_path / "dump")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"post": {"expectations": [{"type": "expect_the_spanish_inquisition", "kwargs": {}}]}}')
    assert run(["backup", "verify", "--file", str(file), "--expectations", str(wrong)]) == 1
    assert "post" in capsys.readouterr().err
    wrong.write_text("[]")
    assert run(["backup", "verify", "--file", str(file), "--expectations", str(wrong)]) == 1
    assert "cannot be read" in capsys.readouterr().err
