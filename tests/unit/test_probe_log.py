"""RTO and RPO follow from the client's log and the rows that are there, from nothing else."""

import pytest

from domain.probe_log import count_loss, find_outage, read_probe_log

#: Five rows before an outage of one second, row 6 broken off in it, two rows after it.
LOG = """connected 0 100.000000
sent 1 100.000000
acknowledged 1 100.010000
sent 2 100.020000
acknowledged 2 100.030000
sent 3 100.040000
acknowledged 3 100.050000
sent 4 100.060000
acknowledged 4 100.070000
sent 5 100.080000
acknowledged 5 100.090000
sent 6 100.100000
broken 6 100.110000 OperationalError
connected 6 101.050000
sent 7 101.060000
acknowledged 7 101.090000
sent 8 101.100000
acknowledged 8 101.110000
""".splitlines(keepends=True)


def test_the_outage_is_the_longest_gap_between_acknowledgements() -> None:
    """Not from the fault, and not to the first connection: what the client was told counts."""
    outage = find_outage(read_probe_log(LOG))
    assert outage is not None
    assert (outage.began_at, outage.ended_at) == (100.09, 101.09)
    assert outage.seconds == pytest.approx(1.0)


def test_without_two_acknowledgements_there_is_no_outage_to_measure() -> None:
    """Nothing is made up."""
    assert find_outage(read_probe_log([])) is None
    assert find_outage(read_probe_log(LOG[:3])) is None


def test_acknowledged_rows_that_are_gone_are_lost() -> None:
    """Rows 4 and 5 were acknowledged and are not there: two rows, 0.02 s of writes."""
    loss = count_loss(read_probe_log(LOG), {1, 2, 3, 7, 8})
    assert (loss.lost, loss.in_doubt, loss.in_doubt_found) == ((4, 5), (6,), 0)
    assert loss.seconds == pytest.approx(0.02)


def test_a_row_in_doubt_is_never_a_lost_one() -> None:
    """It was sent and not acknowledged: there or not, it is counted apart."""
    loss = count_loss(read_probe_log(LOG), {1, 2, 3, 4, 5, 6, 7, 8})
    assert (loss.lost, loss.in_doubt, loss.in_doubt_found, loss.seconds) == ((), (6,), 1, 0.0)


def test_a_line_that_was_cut_off_is_no_line() -> None:
    """The process was killed while it wrote: half a number must not become another number."""
    log = read_probe_log([*LOG, "acknowledged 1"])
    assert log == read_probe_log(LOG)
