"""When a lost primary is failed over by itself: each rule both ways, from looks and samples."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.hold import Hold
from domain.look import (
    MOST_POSITIONS,
    Look,
    PrimarySample,
    StandbySample,
    Vantage,
    Watched,
    note_look,
    note_primary,
    note_run,
    note_standby,
)
from domain.pair import Node
from domain.spec_parts import Recovery
from domain.watch import (
    BEFORE_THE_PAIR,
    Standing,
    Verdict,
    WatchState,
    count_loss_seconds,
    decide_watch,
    has_come_to_pair,
    name_outage,
)
from tasks.steps import STEPS

T0 = datetime(2026, 11, 30, 12, tzinfo=UTC)
GAP = timedelta(seconds=6)
BOTH: tuple[Vantage, ...] = ("clients", "standby")
HOLD = Hold(environment="dev", holder="ada", reason="disk", expires_at=T0 + timedelta(hours=1))


def at(seconds: float) -> datetime:
    """A moment of the story."""
    return T0 + timedelta(seconds=seconds)


def recovery(**changes: Any) -> Recovery:
    """Automatic, five seconds, five minutes of loss allowed."""
    known = {"rto": "1h", "rpo": "5m", "backup_max_age": "24h", "failover": "automatic"}
    return Recovery.model_validate(known | changes)


def standing(*, hold: Hold | None = None, busy: str = "", held: str = "", **changes: Any) -> Standing:
    """What the ledger says; `last` is when the last failover ended."""
    known = {"busy_with": busy or None, "held_by": held or None, "last_failover_at": changes.pop("last", None)}
    return Standing(recovery=recovery(**changes), hold=hold, **known)


def primary(seconds: float, lsn: int = 100, node: Node = "a", timeline: int = 1, sync: bool = False) -> PrimarySample:
    """The primary's word."""
    return PrimarySample(at=at(seconds), node=node, timeline=timeline, lsn=lsn, is_synchronous=sync)


def standby(seconds: float, lsn: int = 100, timeline: int | None = 1, heard: float | None = None) -> StandbySample:
    """The standby's word."""
    return StandbySample(at=at(seconds), timeline=timeline, lsn=lsn, heard_at=None if heard is None else at(heard))


def whole(sync: bool = False) -> Watched:
    """Seen from both sides at 0, and the standby had everything then."""
    watched = note_standby(note_primary(Watched(), primary(0, sync=sync)), standby(0.1))
    return look(watched, 0.2, *BOTH, answered=True)


def look(watched: Watched, seconds: float, *vantages: Vantage, answered: bool = False) -> Watched:
    """Looks at one moment."""
    for vantage in vantages:
        watched = note_look(watched, Look(vantage=vantage, at=at(seconds), is_answered=answered), GAP)
    return watched


def lose(watched: Watched, begin: int = 1, end: int = 6, vantages: tuple[Vantage, ...] = BOTH) -> Watched:
    """A look without an answer each second."""
    for second in range(begin, end + 1):
        watched = look(watched, second, *vantages)
    return note_standby(watched, standby(end))


def decide(watched: Watched, seconds: float = 6, attempted: str = "", **known: Any) -> Verdict:
    """The verdict at a moment."""
    return decide_watch(watched, standing(**known), attempted, at(seconds))


def test_a_primary_that_both_have_lost_for_long_enough_is_lost() -> None:
    """With what each saw, and how much may be lost, as the reason; one look earlier it was not."""
    assert decide(lose(whole(), end=5), 5).state is WatchState.MISSED
    verdict = decide(lose(whole()))
    assert verdict.state is WatchState.LOST
    assert verdict.told == (
        "clients without an answer for 5.0 s, standby without an answer for 5.0 s; "
        "at most 6.0 s of writes may be lost, recovery.rpo allows 300 s"
    )


@pytest.mark.parametrize(("seconds", "state"), [(10, WatchState.MISSED), (2, WatchState.LOST)])
def test_the_detection_time_is_the_files(seconds: int, state: WatchState) -> None:
    """Longer than six seconds is not over, shorter is."""
    assert decide(lose(whole()), failover_detection_seconds=seconds).state is state


@pytest.mark.parametrize("vantage", BOTH)
def test_one_vantage_point_alone_is_an_alarm(vantage: Vantage) -> None:
    """However long: the other one sees the primary. The alarm names who does not."""
    watched = lose(whole(), end=60, vantages=(vantage,))
    (seeing,) = set(BOTH) - {vantage}
    verdict = decide(look(watched, 60, seeing, answered=True), 60)
    assert verdict.state is WatchState.DIVIDED
    assert f"mend the way of {vantage}" in verdict.told


def test_one_look_with_an_answer_begins_the_time_anew() -> None:
    """From both sides, and from one."""
    for vantages in (BOTH, ("clients",), ("standby",)):
        watched = look(lose(whole(), end=4), 4.5, *vantages, answered=True)
        assert decide(lose(watched, 5, 9), 9).state is WatchState.MISSED
        assert decide(lose(watched, 5, 11), 11).state is WatchState.LOST


def test_a_message_that_the_standby_received_is_an_answer() -> None:
    """A postmaster that takes no new connection is not lost while its WAL still comes; an old message is none."""
    watched = lose(whole())
    fresh = note_standby(watched, standby(6, heard=5.5))
    assert decide(fresh).state is WatchState.DIVIDED
    assert decide(note_standby(watched, standby(6, heard=0.5))).state is WatchState.LOST


def test_a_watcher_that_slept_counts_anew() -> None:
    """Two looks a minute apart are not a minute without an answer."""
    watched = look(whole(), 1, *BOTH)
    assert decide(note_standby(look(watched, 61, *BOTH), standby(61)), 61).state is WatchState.MISSED
    assert decide(note_standby(look(watched, 6, *BOTH), standby(6)), 6).state is WatchState.LOST


def test_who_was_never_seen_is_not_failed_over() -> None:
    """A watcher that came after the outage cannot know what would be lost."""
    assert decide(Watched()).state is WatchState.UNKNOWN
    assert decide(lose(Watched(), end=5), 5).state is WatchState.UNKNOWN
    verdict = decide(lose(Watched()))
    assert verdict.state is WatchState.BLOCKED
    assert "this watcher has never seen it" in verdict.told
    told_only = lose(note_standby(note_primary(Watched(), primary(0)), standby(0.1)))
    assert "the clients have never seen it" in decide(told_only).told
    assert name_outage(Watched()) == ""


def test_a_primary_that_answers_is_seen() -> None:
    """No alarm, and nothing to do."""
    assert decide(whole(), 0.3).state is WatchState.SEEN


OBSTACLES: list[tuple[dict[str, Any], str]] = [
    ({"hold": HOLD}, "ada holds it: disk"),
    ({"last": at(-60)}, "the cooldown after the last failover lasts until 2026-11-30 12:29 UTC"),
]


@pytest.mark.parametrize(("known", "told"), OBSTACLES)
def test_what_the_ledger_forbids_is_told(known: dict[str, Any], told: str) -> None:
    """It is an alarm that names each; when its time is over it forbids no more."""
    verdict = decide(lose(whole()), **known)
    assert verdict.state is WatchState.BLOCKED
    assert told in verdict.told
    everything = decide(lose(whole()), hold=HOLD, last=at(-60)).told
    assert all(one in everything for _, one in OBSTACLES)


def test_a_hold_and_a_cooldown_end() -> None:
    """An expired hold is none; the cooldown is as long as the file says."""
    over = HOLD.model_copy(update={"expires_at": at(5)})
    assert decide(lose(whole()), hold=over).state is WatchState.LOST
    assert decide(lose(whole()), last=at(-60), failover_cooldown="1m").state is WatchState.LOST
    assert decide(lose(whole()), last=at(-50), failover_cooldown="1m").state is WatchState.BLOCKED


def test_there_is_one_attempt_for_each_outage() -> None:
    """The same outage has the same name however long it lasts; seen in between, it is another."""
    first = decide(lose(whole()))
    longer = lose(whole(), end=9)
    assert decide(longer, 9).outage == first.outage != ""
    again = decide(longer, 9, attempted=first.outage)
    assert again.state is WatchState.BLOCKED
    assert "one failover was started for this outage" in again.told
    back = look(longer, 10, *BOTH, answered=True)
    other = decide(lose(back, 11, 17), 17, attempted=first.outage)
    assert (other.state, other.outage == first.outage) == (WatchState.LOST, False)


def test_an_outage_keeps_its_name_while_the_standby_reckons_anew() -> None:
    """A frozen or cut primary's WAL receiver says `streaming` for ten seconds more: the same message, milliseconds
    later with each faster connect; also when a run that was refused had the counting begin anew."""
    watched = note_standby(lose(whole()), standby(6, heard=0.270))
    first = decide(watched)
    assert first.state is WatchState.LOST
    jittered = note_standby(watched, standby(6.2, heard=0.288))
    assert "one failover was started for this outage" in decide(jittered, 6.2, attempted=first.outage).told
    after = note_standby(note_primary(note_run(watched), primary(0.5)), standby(6.4, heard=0.291))
    again = decide(lose(after, 7, 13), 13, attempted=first.outage)
    assert "one failover was started for this outage" in again.told


def test_the_loss_is_bounded_by_what_the_standby_is_known_to_have() -> None:
    """Beyond recovery.rpo nothing starts; unknown is beyond; commits that wait lose nothing."""
    behind = note_primary(whole(), primary(1, lsn=500))
    assert count_loss_seconds(lose(behind), at(6)) == 6
    assert count_loss_seconds(note_standby(behind, standby(2, lsn=500)), at(6)) == 5
    assert count_loss_seconds(note_standby(behind, standby(2, lsn=499)), at(6)) == 6
    verdict = decide(lose(behind, end=70), 70, rpo="1m")
    assert verdict.state is WatchState.BLOCKED
    assert "up to 70 s of writes may be lost, and recovery.rpo allows 60 s" in verdict.told
    unknown = lose(look(note_primary(Watched(), primary(0, lsn=101)), 0.2, *BOTH, answered=True))
    assert "never seen to have all" in decide(unknown).told
    synchronous = decide(lose(whole(sync=True), end=70), 70, rpo="1m")
    assert (synchronous.state, "nothing is lost" in synchronous.told) == (WatchState.LOST, True)
    assert (synchronous.loss_seconds, decide(lose(whole())).loss_seconds) == (None, 6)


def test_a_standby_that_lags_steadily_is_known_to_catch_up() -> None:
    """Though more positions were told than are remembered."""
    watched = whole()
    for second in range(1, 10 * MOST_POSITIONS):
        watched = note_primary(watched, primary(second, lsn=100 + second))
        assert len(watched.ahead) <= MOST_POSITIONS
        watched = note_standby(watched, standby(second, lsn=100 + second - 200))
    bound = count_loss_seconds(watched, at(10 * MOST_POSITIONS))
    assert 200 <= (bound or 0) <= 300


def test_a_standby_that_is_silent_or_elsewhere_is_not_promoted() -> None:
    """Its last word is from before the loss, or it is on another timeline than the primary."""
    silent = look(whole(), 1, *BOTH)
    for second in range(2, 13):
        silent = look(silent, second, *BOTH)
    assert decide(silent, 11).state is WatchState.MISSED
    assert "the standby has not answered since" in decide(silent, 12).told
    assert decide(note_standby(silent, standby(0.9)), 12).state is WatchState.BLOCKED
    assert decide(note_standby(silent, standby(1.1)), 12).state is WatchState.LOST
    assert "on timeline 2, the primary on 1" in decide(note_standby(lose(whole()), standby(6, timeline=2))).told


def test_a_standby_that_receives_nothing_is_where_it_was() -> None:
    """Its primary is dead, so it names no timeline; one that never named any is not known to follow."""
    assert decide(note_standby(lose(whole()), standby(6, timeline=None))).state is WatchState.LOST
    never = look(
        note_standby(note_primary(Watched(), primary(0)), standby(0.1, timeline=None)), 0.2, *BOTH, answered=True
    )
    for second in range(1, 7):
        never = look(never, second, *BOTH)
    told = decide(note_standby(never, standby(6, timeline=None))).told
    assert "the standby is on timeline an unknown one, the primary on 1" in told
    assert "never seen to have all" in told


def test_what_a_run_changes_is_the_runs() -> None:
    """Meanwhile it is busy; after it everything counts anew, and nothing starts before both have spoken again."""
    assert decide(lose(whole()), busy="run 1 (drill by ada)").state is WatchState.BUSY
    after = note_run(lose(whole()))
    assert decide(after, 6).state is WatchState.SEEN
    assert "never seen to have all" in decide(lose(after, 7, 13), 13).told
    spoken = note_standby(note_primary(after, primary(6)), standby(6.5))
    assert decide(lose(spoken, 7, 13), 13).state is WatchState.LOST
    refused = decide(lose(after, 7, 13), 13, attempted=name_outage(lose(whole())))
    assert "one failover was started for this outage" in refused.told


def test_a_run_that_waits_for_its_approval_hides_no_outage() -> None:
    """It has the environment, so no failover could begin: an alarm that names it. Nothing is forgotten meanwhile."""
    held = decide(lose(whole()), held="run 1 (provision by ada)")
    assert held.state is WatchState.BLOCKED
    assert "run 1 (provision by ada) has the environment, and has not come to the pair" in held.told
    assert decide(whole(), 0.3, held="run 1").state is WatchState.SEEN
    assert decide(lose(whole(), end=60), 60).state is WatchState.LOST
    waiting = ["save_plan", "await_approval"]
    assert [has_come_to_pair(steps) for steps in ([], waiting, [*waiting, "verify_pair"], ["fence_primary"])] == [
        *(False, False, True, True)
    ]
    assert all(name in STEPS for name in BEFORE_THE_PAIR)


def test_how_long_nobody_saw_it_is_known_beside_a_run() -> None:
    """Though everything else is counted anew: a run that never ends is told by it."""
    assert whole().clients_sight.unseen_seconds == Watched().clients_sight.unseen_seconds == 0
    busy = note_run(look(note_run(lose(whole())), 90, *BOTH))
    assert busy.clients_sight.unseen_seconds == pytest.approx(89.8)
    assert look(busy, 91, *BOTH, answered=True).clients_sight.unseen_seconds == 0


def test_another_primary_is_another_story() -> None:
    """After a change of roles nothing of before counts; another timeline is another primary."""
    for sample in (primary(7, node="b"), primary(7, timeline=2)):
        watched = note_primary(lose(whole()), sample)
        assert (watched.primary, watched.whole_at, name_outage(watched)) == (sample, None, "")
