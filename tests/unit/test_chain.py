"""The chain of evidence: what is canonical, and which tampering is named."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.chain import GENESIS, Event, Link, canonical_json, digest, digest_record, find_break

AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def _make_chain(count: int) -> list[Link]:
    links, prev_hash = [], GENESIS
    for seq in range(1, count + 1):
        record = {"seq": seq, "name": f"step {seq}"}
        event = Event(
            seq=seq,
            at=AT + timedelta(seconds=seq),
            actor="ada",
            kind="step",
            environment="dev",
            run_id="r1",
            reason="",
            outcome="",
            inputs_sha256=digest_record(record),
            prev_hash=prev_hash,
            hash="",
        )
        prev_hash = event.compute_hash(prev_hash)
        links.append(Link(event=event.model_copy(update={"hash": prev_hash}), record_sha256=event.inputs_sha256))
    return links


def _change(link: Link, **fields: object) -> Link:
    return link.model_copy(update={"event": link.event.model_copy(update=fields)})


def _rehash(link: Link, **fields: object) -> Link:
    changed = _change(link, **fields)
    return _change(changed, hash=changed.event.compute_hash(changed.event.prev_hash))


def _swap_numbers(links: list[Link]) -> list[Link]:
    """Two events as somebody with UPDATE would swap them: each takes the other's number."""
    return [*links[:2], _change(links[3], seq=3), _change(links[2], seq=4), *links[4:]]


TAMPERINGS: dict[str, tuple[Callable[[list[Link]], list[Link]], int, str]] = {
    "a field of an event": (lambda c: [*c[:2], _change(c[2], actor="eve"), *c[3:]], 3, "altered"),
    "the time of an event": (lambda c: [*c[:2], _change(c[2], at=AT), *c[3:]], 3, "altered"),
    "the hash of an event": (lambda c: [*c[:2], _change(c[2], hash=GENESIS), *c[3:]], 3, "altered"),
    "the link of an event": (lambda c: [*c[:2], _change(c[2], prev_hash=GENESIS), *c[3:]], 3, "altered"),
    "an event with a new hash": (lambda c: [*c[:2], _rehash(c[2], actor="eve"), *c[3:]], 3, "altered"),
    "the first event with a new hash": (lambda c: [_rehash(c[0], actor="eve"), *c[1:]], 1, "altered"),
    "the first link with a new hash": (lambda c: [_rehash(c[0], prev_hash="1" * 64), *c[1:]], 1, "altered"),
    "a record": (lambda c: [*c[:2], c[2].model_copy(update={"record_sha256": GENESIS}), *c[3:]], 3, "altered"),
    "a record removed": (lambda c: [*c[:2], c[2].model_copy(update={"record_sha256": None}), *c[3:]], 3, "removed"),
    "an event removed": (lambda c: [*c[:2], *c[3:]], 3, "removed"),
    "the first event removed": (lambda c: c[1:], 1, "removed"),
    "two lines swapped": (lambda c: [*c[:2], c[3], c[2], *c[4:]], 3, "reordered"),
    "two numbers swapped": (_swap_numbers, 3, "reordered"),
    "an event twice": (lambda c: [*c[:3], c[2], *c[3:]], 3, "reordered"),
}


def test_whole_chain_has_no_break() -> None:
    """A chain as it was written is whole, an empty one too."""
    assert find_break(_make_chain(6)) is None
    assert find_break([]) is None


@pytest.mark.parametrize("name", TAMPERINGS)
def test_first_tampered_record_is_named(name: str) -> None:
    """Whatever is altered, removed or reordered, the first such record is named."""
    tamper, seq, fault = TAMPERINGS[name]
    found = find_break(tamper(_make_chain(6)))
    assert found is not None
    assert (found.seq, found.fault) == (seq, fault)


def test_cut_tail_needs_an_anchor() -> None:
    """A chain without its end is whole in itself; who knows the last event from elsewhere sees what is missing."""
    chain = _make_chain(6)
    last = chain[-1].event
    assert find_break(chain[:4]) is None
    found = find_break(chain[:4], {last.seq: last.hash})
    assert found is not None
    assert (found.seq, found.fault) == (5, "removed")
    assert find_break(chain, {2: chain[1].event.hash, last.seq: last.hash}) is None


def test_rewritten_chain_is_seen_by_its_anchor() -> None:
    """A chain that was written anew from its beginning is whole in itself, but has another hash at the anchor."""
    chain = _make_chain(3)
    found = find_break(chain, {2: "f" * 64})
    assert found is not None
    assert (found.seq, found.fault) == (2, "altered")


def test_canonical_json_is_one_text_for_equal_values() -> None:
    """Order of keys, lists or tuples, and the timezone of a time make no difference."""
    berlin = AT.astimezone(timezone(timedelta(hours=1)))
    assert canonical_json({"b": (1, "é"), "a": AT}) == canonical_json({"a": berlin, "b": [1, "é"]})
    assert canonical_json({"b": [1, "é"], "a": AT}) == '{"a":"2026-11-24T08:00:00.000000+00:00","b":[1,"é"]}'


@pytest.mark.parametrize("value", [float("nan"), datetime(2026, 1, 1), object()], ids=["nan", "naive time", "object"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    """Not-a-number, a time without a timezone and a foreign object are errors, not text."""
    with pytest.raises((ValueError, TypeError)):
        canonical_json({"value": value})


def test_empty_columns_do_not_count() -> None:
    """A column that a later migration adds leaves the digests of older records as they were."""
    assert digest_record({"a": 1, "b": None}) == digest_record({"a": 1}) == digest({"a": 1})
