"""TravelBlog's data: the same for the same seed, and true to the invariants that a check would hold it to."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from examples.travelblog.generator import COLUMNS, count_rows, generate_rows

UNTIL = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
ROWS = 20000


@pytest.fixture(scope="module")
def tables() -> dict[str, list[list[str]]]:
    """Every row of every table, as fields."""
    return {table: [line.split("\t") for line in lines] for table, lines in read_lines(7)}


def read_lines(seed: int) -> Iterator[tuple[str, list[str]]]:
    """Each table's lines."""
    for table, chunks in generate_rows(ROWS, seed, UNTIL):
        yield table, "".join(chunks).splitlines()


def digest(seed: int) -> str:
    """Of everything that a seed gives."""
    return hashlib.sha256(repr(list(read_lines(seed))).encode()).hexdigest()


def test_a_seed_gives_the_same_rows_each_time() -> None:
    """And another seed gives others."""
    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_there_are_about_as_many_rows_as_asked_for(tables: dict[str, list[list[str]]]) -> None:
    """Each table has its share; ids run from 1 without a gap; every line has all columns."""
    assert sum(map(len, tables.values())) == pytest.approx(ROWS, rel=0.01)
    for table, rows in tables.items():
        assert len(rows) == count_rows(ROWS)[table]
        assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
        assert {len(row) for row in rows} == {len(COLUMNS[table].split(", "))}


def test_a_row_is_of_the_tenant_of_what_it_refers_to(tables: dict[str, list[list[str]]]) -> None:
    """And it refers to something that is there."""
    tenants = {table: {row[0]: row[1] for row in rows} for table, rows in tables.items()}
    for row in tables["posts"]:
        assert row[1] == tenants["authors"][row[2]] == tenants["places"][row[3]]
    for row in tables["media"]:
        assert row[1] == tenants["posts"][row[2]]
    for row in tables["bookings"]:
        assert row[1] == tenants["places"][row[2]]
    assert len(set(tenants["bookings"].values())) == 10


def test_a_booking_costs_its_nights(tables: dict[str, list[list[str]]]) -> None:
    """At the price of its place."""
    prices = {row[0]: int(row[6]) for row in tables["places"]}
    assert all(int(row[5]) == int(row[4]) * prices[row[2]] for row in tables["bookings"])


def test_the_newest_booking_is_the_end_of_the_data(tables: dict[str, list[list[str]]]) -> None:
    """So freshness can be asked for."""
    assert max(row[7] for row in tables["bookings"]) == tables["bookings"][-1][7] == "2026-11-24 15:30:00+00"


def test_the_smallest_data_set_still_refers_to_what_is_there() -> None:
    """Ten rows of each."""
    tables = dict(generate_rows(1, 7, UNTIL))
    assert set(tables) == set(COLUMNS)
    assert set(count_rows(1).values()) == {10}
