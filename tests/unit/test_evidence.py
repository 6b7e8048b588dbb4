"""Anchors, exports and verdicts, without a database."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.chain import GENESIS, Event, digest_record
from domain.errors import PermanentError
from domain.evidence import (
    Anchor,
    Told,
    find_missing,
    is_anchor_due,
    judge,
    judge_export,
    name_anchor,
    read_anchor,
    render_anchor,
    render_export,
)

AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def make_chain(count: int, actor: str = "ada") -> list[Told]:
    """A whole chain of steps."""
    told, prev_hash = [], GENESIS
    for seq in range(1, count + 1):
        record = {"seq": seq, "at": AT, "name": f"step {seq}", "cost": 0.1, "undo": None}
        about = {"at": AT, "actor": actor, "kind": "step", "environment": "dev", "run_id": "r", "reason": ""}
        sha256 = digest_record(record)
        event = Event(seq=seq, outcome="", inputs_sha256=sha256, prev_hash=prev_hash, hash="", **about)
        prev_hash = event.compute_hash(prev_hash)
        told.append(Told(event=event.model_copy(update={"hash": prev_hash}), record=record))
    return told


def export(chain: list[Told], anchors: tuple[Anchor, ...] = ()) -> list[str]:
    """The lines of an export."""
    last = chain[-1].event
    return list(render_export(chain, anchors, (last.seq, last.hash), last.seq, AT))


def anchor(chain: list[Told], seq: int) -> Anchor:
    """The anchor of an event."""
    return Anchor(seq=seq, hash=chain[seq - 1].event.hash, location="vault")


@pytest.mark.parametrize(("newest", "anchored", "is_due"), [(0, [], False), (5, [], True), (5, [3, 5], False)])
def test_an_anchor_is_due_where_something_was_recorded(newest: int, anchored: list[int], is_due: bool) -> None:
    """An anchor is a record itself, so only what is not about the vault asks for another one."""
    assert is_anchor_due(newest, anchored) is is_due
    assert is_anchor_due(newest, [*anchored, 7]) is False


def test_an_anchors_name_tells_all_of_it() -> None:
    """Number and hash are read from an address; what is named otherwise is no anchor."""
    key = name_anchor("terrarium", 42, "a" * 64)
    assert read_anchor(f"s3://vault/{key}") == Anchor(seq=42, hash="a" * 64, location=f"s3://vault/{key}")
    assert sorted([name_anchor("t", 100, "a" * 64), name_anchor("t", 9, "a" * 64)])[0].endswith(f"9-{'a' * 64}.json")
    assert read_anchor("evidence/terrarium/backups/x/manifest.json") is None
    assert json.loads(render_anchor(42, "a" * 64, AT))["seq"] == 42


def test_an_export_is_whole() -> None:
    """What the database held is read back from the file: same events, same digests."""
    chain = make_chain(5)
    verdict = judge_export(export(chain, (anchor(chain, 2),)))
    assert (verdict.is_whole, verdict.events, verdict.anchors) == (True, 5, 2)
    assert verdict.head_hash == chain[-1].event.hash


def change(line: str, edit: Callable[[dict[str, Any]], object]) -> str:
    """A line with something else in it."""
    row = json.loads(line)
    edit(row)
    return json.dumps(row)


def edit_third(edit: Callable[[dict[str, Any]], object]) -> Callable[[list[str]], list[str]]:
    """The third event's line, below the first one, with something else in it."""
    return lambda lines: [*lines[:3], change(lines[3], edit), *lines[4:]]


TAMPERINGS: dict[str, tuple[Callable[[list[str]], list[str]], int, str]] = {
    "a record": (edit_third(lambda row: row["record"].update(name="x")), 3, "altered"),
    "an event": (edit_third(lambda row: row["event"].update(actor="x")), 3, "altered"),
    "a record is gone": (edit_third(lambda row: row.update(record=None)), 3, "removed"),
    "a stray": (edit_third(lambda row: row.update(strays=["approval"])), 3, "added"),
    "a line is gone": (lambda lines: [*lines[:3], *lines[4:]], 3, "removed"),
    "two lines are swapped": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 3, "reordered"),
    "the tail is cut": (lambda lines: lines[:-2], 4, "removed"),
    "all is gone": (lambda lines: lines[:1], 1, "removed"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_export_is_named(name: str) -> None:
    """The first record that is not as it was, whatever was done to the file."""
    tamper, seq, fault = TAMPERINGS[name]
    found = judge_export(tamper(export(make_chain(5)))).found
    assert found is not None
    assert (found.seq, found.fault) == (seq, fault)


def test_an_export_that_was_written_anew_needs_an_anchor() -> None:
    """A false chain is whole in itself; an anchor from elsewhere names where it differs."""
    chain, false = make_chain(5), make_chain(5, actor="eve")
    assert judge_export(export(false)).is_whole
    found = judge_export(export(false), [anchor(chain, 2)]).found
    assert found is not None
    assert (found.seq, found.fault) == (2, "altered")


def test_anchors_that_contradict_each_other_are_named() -> None:
    """One number has one hash: where two say something else, the chain was another one once."""
    chain, false = make_chain(5), make_chain(5, actor="eve")
    for anchors in ([anchor(chain, 4), anchor(false, 4)], [anchor(false, 4), anchor(chain, 4)]):
        found = judge(chain, anchors).found
        assert found is not None
        assert (found.seq, found.fault) == (4, "altered")


@pytest.mark.parametrize("lines", [[], ["{}\n"], ["no json\n"], ["[]\n"]])
def test_another_file_is_no_export(lines: list[str]) -> None:
    """It is refused, not called whole."""
    with pytest.raises(PermanentError, match="export"):
        judge_export(lines)


def test_a_line_that_was_cut_is_told() -> None:
    """A download that broke off is no evidence."""
    lines = export(make_chain(3))
    with pytest.raises(PermanentError, match="Line 4 of the export cannot be read"):
        judge_export([*lines[:3], lines[3][:20]])
    with pytest.raises(PermanentError, match="no event"):
        judge_export([*lines[:3], '{"event":{}}'])


def test_what_the_vault_lost_is_listed() -> None:
    """Objects that were recorded and are not there."""
    assert find_missing(["b", "a"], ["a", "c"]) == ("b",)
