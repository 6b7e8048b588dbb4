"""The decisions over a backup: what counts as an answer, and what the answers make of the verdict."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.scratch.verification import Wanted
from domain.backup import (
    NOBODY_ASKED,
    SHOWN_FAULTS,
    Answer,
    Manifest,
    Question,
    Sentinel,
    TableContent,
    VerdictStatus,
    answer,
    decide_verdict,
    judge_contents,
    judge_data,
    judge_file,
    judge_invariants,
    judge_sentinels,
    read_manifest,
)
from domain.errors import PermanentError
from domain.expectations import Checked, list_faults, read_suites, tell_observed
from domain.restore import judge_engine, read_engine_words

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
YES, NO, OWED = Answer(passed=True), Answer(passed=False), Answer(passed=None, unasked="it holds no data")
SHA = "ab" * 32


@pytest.mark.parametrize("question", Question)
def test_one_no_fails_the_backup(question: Question) -> None:
    """Whatever the four others say, and whatever else could not be asked."""
    others = [one for one in Question if one is not question]
    assert decide_verdict({question: NO, **dict.fromkeys(others, YES)}, 1.0).status == VerdictStatus.FAILED
    assert decide_verdict({question: NO, **dict.fromkeys(others, OWED)}, 1.0).status == VerdictStatus.FAILED


@pytest.mark.parametrize("question", Question)
def test_what_is_owed_and_was_not_asked_is_incomplete(question: Question) -> None:
    """Never passed."""
    answers = {**dict.fromkeys(Question, YES), question: OWED}
    assert decide_verdict(answers, 1.0).status == VerdictStatus.INCOMPLETE


@pytest.mark.parametrize("question", Question)
def test_what_nobody_gave_input_for_does_not_count(question: Question) -> None:
    """It is told as null."""
    verdict = decide_verdict({**dict.fromkeys(Question, YES), question: NOBODY_ASKED}, 1.0)
    assert verdict.status == VerdictStatus.PASSED
    assert verdict.to_json()["questions"][question.value]["passed"] is None


def test_tables_that_nobody_described_are_owed() -> None:
    """Expectations that are met are no yes to them; one that is not met is a no."""
    manifest = Manifest(undescribed="the standby was fenced")
    owed = judge_data(manifest, {}, [], [])
    assert (owed.passed, owed.unasked) == (None, "the standby was fenced")
    met = judge_data(manifest, {}, [Checked(table="orders", expectation="is_there", passed=True)], [])
    assert (met.passed, met.unasked, met.figures["expectations_met"]) == (None, "the standby was fenced", 1)
    assert judge_data(manifest, {}, [], ["orders is not there, and has expectations"]).passed is False
    assert Wanted(manifest=manifest).owed == [Question.DATA]


def test_without_any_answer_nothing_is_proved() -> None:
    """All null is no pass."""
    assert decide_verdict({}, None).status == VerdictStatus.INCOMPLETE


def test_a_verdict_is_told_with_its_figures() -> None:
    """The keys that scripts read."""
    told = decide_verdict({Question.FILE: answer({"bytes": 5}, ["it is short"])}, 1.23456, NOON).to_json()
    assert told["status"] == "failed"
    assert told["restore_seconds"] == 1.235
    assert told["recovery_point_at"] == "2026-11-24T12:00:00Z"
    assert list(told["questions"]) == ["file", "engine", "data", "invariants", "sentinels"]
    assert told["questions"]["file"] == {
        "passed": False, "figures": {"bytes": 5}, "faults": ["it is short"], "unasked": "",
    }  # fmt: skip
    json.dumps(told)


def test_many_faults_are_counted() -> None:
    """A verdict stays readable."""
    found = answer({}, [f"fault {number}" for number in range(SHOWN_FAULTS + 5)])
    assert len(found.faults) == SHOWN_FAULTS + 1
    assert found.faults[-1] == "and 5 more"


def test_a_file_is_held_against_its_manifest() -> None:
    """Without a sha256 there is nothing to compare; its case does not matter."""
    assert judge_file(Manifest(), SHA, 5).passed is None
    assert judge_file(Manifest(sha256=SHA.upper()), SHA, 5).passed is True
    assert judge_file(Manifest(sha256="cd" * 32), SHA, 5).passed is False


def test_contents_are_held_against_the_manifest() -> None:
    """Gone, other rows, other hash; a table that the manifest does not name is none of its business."""
    content = TableContent(rows=3, hash="7")
    promised = Manifest(tables={"public.a": content})
    assert judge_contents(promised, {"public.a": content, "public.b": content}) == []
    for found in ({}, {"public.a": TableContent(rows=2, hash="7")}, {"public.a": TableContent(rows=3, hash="8")}):
        assert len(judge_contents(promised, found)) == 1
    assert judge_contents(Manifest(tables={"public.a": TableContent(rows=3)}), {"public.a": content}) == []


def test_data_is_counted_hashed_and_expected() -> None:
    """Null without anything to hold it against; one fault of any kind is a no."""
    content, met = TableContent(rows=3, hash="7"), Checked(table="a", expectation="expect_x", passed=True)
    promised = Manifest(tables={"a": content})
    assert judge_data(Manifest(), {}, [], []).passed is None
    found = judge_data(promised, {"a": content}, [met], [])
    assert found.passed is True
    assert found.figures["tables"] == {"a": {"rows": 3, "hash": "7"}}
    assert (found.figures["expectations"], found.figures["expectations_met"]) == (1, 1)
    assert judge_data(promised, {}, [met], []).passed is False
    assert judge_data(promised, {"a": content}, [met.model_copy(update={"passed": False})], []).passed is False
    assert judge_data(Manifest(), {}, [], ["b is not there, and has expectations"]).passed is False
    assert judge_data(Manifest(schema_version="v1"), {}, [], [], "v1").passed is True
    assert judge_data(Manifest(schema_version="v1"), {}, [], [], "v2").faults == (
        "the schema has version v2, the manifest says v1",
    )


def test_a_rule_is_broken_by_rows_and_by_not_being_answerable() -> None:
    """No rule is no question."""
    assert judge_invariants({}).passed is None
    assert judge_invariants({"sums fit": 0}).passed is True
    assert judge_invariants({"sums fit": 2}).faults == ("sums fit: 2 rows break it",)
    assert judge_invariants({"sums fit": "cannot be asked: there is no table"}).passed is False


def test_sentinels_say_up_to_when_everything_is_there() -> None:
    """The newest of those before the first that is missing."""
    marks = tuple(Sentinel(table="mark", row={"id": n}, at=NOON + timedelta(minutes=n)) for n in range(4))
    manifest = Manifest(sentinels=marks)
    found, reached = judge_sentinels(manifest, [True] * 4)
    assert (found.passed, reached) == (True, marks[3].at)
    found, reached = judge_sentinels(manifest, [True, True, False, True])
    assert (found.passed, reached) == (False, marks[1].at)
    assert found.faults == ("mark: {'id': 2} is not there",)
    assert judge_sentinels(Manifest(), [])[0].passed is None


def test_a_manifest_is_read_and_what_is_unknown_is_told() -> None:
    """A misspelt key would be a check that nobody makes."""
    manifest, ignored = read_manifest('{"sha265": "x", "tables": {"a": {"rows": 3, "hash": 12}}}', "m.json")
    assert manifest.tables == {"a": TableContent(rows=3, hash="12")}
    assert ignored == ("sha265",)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"sha256": "short"}', '{"tables": {"a": {"rows": -1}}}', '{"sentinels": 5}']
)
def test_a_manifest_that_is_none_is_refused(text: str) -> None:
    """With its name and the place."""
    with pytest.raises(PermanentError, match=r"manifest m\.json cannot be read"):
        read_manifest(text, "m.json")


def test_suites_are_read_in_both_spellings() -> None:
    """Version 0 of Great Expectations called the type `expectation_type`."""
    old = {"expectation_type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}, "meta": {}}
    new = {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}}
    for one in (old, new):
        (read,) = read_suites(json.dumps({"a": {"expectations": [one]}}), "s.json")["a"]
        assert read.to_json() | {"meta": None} == new | {"meta": None}


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"a": 5}', '{"a": {"expectation": []}}', '{"a": {"expectations": [{}]}}', '{"a": {"expectations": 5}}'],
)
def test_suites_that_are_none_are_refused(text: str) -> None:
    """A suite that is not understood is never a suite without expectations."""
    with pytest.raises(PermanentError, match=r"expectations s\.json cannot be read"):
        read_suites(text, "s.json")


def test_faults_of_expectations_show_no_values_of_rows() -> None:
    """Rows may be about people."""
    result = {"unexpected_count": 2, "element_count": 9, "partial_unexpected_list": ["Zoë"]}
    assert tell_observed(result) == "2 of 9 rows are not so"
    checked = Checked(table="a", expectation="expect_x", passed=False, observed="2 of 9 rows are not so")
    assert list_faults([checked, checked.model_copy(update={"passed": True})]) == [
        "a: expect_x: 2 of 9 rows are not so"
    ]


def test_a_clean_restore_says_yes() -> None:
    """And one that restored nothing does not."""
    clean = read_engine_words("pg_restore", 0, "\n")
    assert judge_engine(clean, tables=3, seconds=1).passed is True
    assert judge_engine(clean, tables=0, seconds=1).passed is False


@pytest.mark.parametrize(
    "told",
    [
        'pg_restore: error: could not execute query: ERROR:  relation "a" does not exist',
        "psql:/dump/backup:3: ERROR:  42501: permission denied to COPY to or from an external program",
        "invalid command \\N",
        "pg_restore: warning: errors ignored on restore: 1",
    ],
)
def test_a_complaint_says_no(told: str) -> None:
    """Also where the exit code is 0, as psql's is."""
    clean = read_engine_words("pg_amcheck", 0, "")
    assert judge_engine(read_engine_words("psql", 0, told).and_then(clean), 3, 1).passed is False
    assert judge_engine(clean.and_then(read_engine_words("pg_amcheck", 2, "")), 3, 1).passed is False


@pytest.mark.parametrize(
    "told",
    [
        'role "app" does not exist',
        'unrecognized configuration parameter "transaction_timeout"',
        "must be owner of extension plpgsql",
    ],
)
def test_what_is_of_the_sources_server_is_no_fault(told: str) -> None:
    """Its roles and settings are no part of its data; pg_restore's own count of such errors is none either."""
    assert read_engine_words("psql", 0, f"psql:/dump/backup:23: ERROR:  42704: {told}\n").faults == ()
    restored = f"pg_restore: error: could not execute query: ERROR:  {told}\nCommand was: x\n"
    count = "pg_restore: warning: errors ignored on restore: 2\n"
    assert read_engine_words("pg_restore", 1, restored + count).faults == ()
    assert len(read_engine_words("pg_restore", 1, restored + "pg_restore: error: x\n" + count).faults) == 2
    assert len(read_engine_words("pg_restore", 1, count).faults) == 1
    assert read_engine_words("pg_restore", 139, restored).faults != ()
    assert read_engine_words("psql", 0, 'ERROR:  42704: type "app" does not exist').faults != ()


def test_a_command_of_a_newer_dump_is_no_fault() -> None:
    """Any other that psql does not know is one."""
    assert read_engine_words("psql", 0, "psql:/dump/backup:5: error: invalid command \\restrict").faults == ()
    assert read_engine_words("psql", 0, "psql:/dump/backup:5: error: invalid command \\N").faults != ()


def test_an_archive_of_a_newer_version_was_not_asked() -> None:
    """Its faults are unknown, so the verdict is incomplete."""
    words = read_engine_words("pg_restore", 1, "pg_restore: error: unsupported version (1.16) in file header")
    found = judge_engine(words, 0, 1)
    assert (found.passed, bool(found.unasked)) == (None, True)
    assert decide_verdict({Question.ENGINE: found}, 1).status == VerdictStatus.INCOMPLETE


def test_a_plain_dump_that_breaks_off_is_noticed() -> None:
    """psql complains of nothing where it ends between two statements."""
    words = read_engine_words("psql", 0, "")
    head, end = "--\n-- PostgreSQL database dump\n--\n", "--\n-- PostgreSQL database dump complete\n--\n"
    assert words.with_end(head, end, 9).faults == ()
    assert words.with_end(head, "INSERT INTO a VALUES (1);\n", 9).faults != ()
    assert words.with_end("INSERT INTO a VALUES (1);\n", "", 9).faults == ()
    assert words.with_end("", "", 0).faults == ("the file is empty",)
