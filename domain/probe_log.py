"""What a client outside saw: the probe's log, and the outage and the loss that follow from it. Pure arithmetic.

The probe writes numbered rows all the time. It logs a number before it sends it and again when the server acknowledged
it, so that RTO and RPO need nobody's word but the client's and the rows that are there.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

#: The first word of a line of the log; the number and the time (epoch seconds that never go back) follow.
SENT, ACKNOWLEDGED = "sent", "acknowledged"


class ProbeLog(BaseModel):
    """When each number was sent and acknowledged, in epoch seconds."""

    model_config = ConfigDict(frozen=True)

    sent: Mapping[int, float] = {}
    acknowledged: Mapping[int, float] = {}

    @property
    def in_doubt(self) -> frozenset[int]:
        """The numbers that were sent and never acknowledged: they may be there, or not."""
        return frozenset(self.sent) - frozenset(self.acknowledged)


class Outage(BaseModel):
    """The longest time between two acknowledgements that follow each other."""

    model_config = ConfigDict(frozen=True)

    began_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        """How long nothing was acknowledged."""
        return self.ended_at - self.began_at


class Loss(BaseModel):
    """What became of the rows. `lost` were acknowledged and are gone; `in_doubt` were never acknowledged.

    `in_doubt_found` counts those in doubt that are there after all. `seconds` is from the acknowledgement of the first
    lost row to that of the last row before the outage: so much acknowledged work is gone.
    """

    model_config = ConfigDict(frozen=True)

    lost: tuple[int, ...]
    in_doubt: tuple[int, ...]
    in_doubt_found: int
    seconds: float


def read_probe_log(lines: Iterable[str]) -> ProbeLog:
    """The log as it was written; a last line that was cut off is no line, other words are for people."""
    times: dict[str, dict[int, float]] = {SENT: {}, ACKNOWLEDGED: {}}
    for line in lines:
        word, *rest = line.split()[:3] if line.endswith("\n") else [""]
        if word in times and len(rest) == 2:
            times[word][int(rest[0])] = float(rest[1])
    return ProbeLog(sent=times[SENT], acknowledged=times[ACKNOWLEDGED])


def find_outage(log: ProbeLog) -> Outage | None:
    """The outage that the client saw; None where fewer than two rows were acknowledged."""
    gaps = pairwise(sorted(log.acknowledged.values()))
    return max((Outage(began_at=a, ended_at=b) for a, b in gaps), key=lambda gap: gap.seconds, default=None)


def count_loss(log: ProbeLog, found: Collection[int]) -> Loss:
    """What is missing of what was acknowledged, where `found` are the numbers that the new primary has."""
    there = frozenset(found)
    lost = sorted(frozenset(log.acknowledged) - there)
    return Loss(
        lost=tuple(lost),
        in_doubt=tuple(sorted(log.in_doubt)),
        in_doubt_found=len(log.in_doubt & there),
        seconds=_measure_lost(log, lost),
    )


def _measure_lost(log: ProbeLog, lost: list[int]) -> float:
    outage = find_outage(log)
    if not lost or outage is None:
        return 0.0
    first = min(log.acknowledged[number] for number in lost)
    return max(0.0, outage.began_at - first)
