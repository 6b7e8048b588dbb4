"""What the ledger tells of how things go, counted by the database when it is asked: for the metrics."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import case, func, select

from blocks.ledger.database import Database
from blocks.ledger.schema import event
from blocks.ledger.team_tables import vault_loss, vault_object
from blocks.ledger.views import environment_state, lease_state, open_hold, run_state
from domain.evidence import ANCHOR


class RunMeasure(BaseModel):
    """Runs of one operation with one outcome; `buckets` counts those that took at most each bound."""

    model_config = ConfigDict(frozen=True)

    operation: str
    outcome: str
    count: int
    seconds: float
    buckets: tuple[int, ...]


class LeaseMeasure(BaseModel):
    """Who changes an environment, since when, and its last heartbeat."""

    model_config = ConfigDict(frozen=True)

    environment: str
    operation: str
    taken_at: datetime
    beat_at: datetime | None


class Measures(BaseModel):
    """Everything at one moment."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[RunMeasure, ...]
    leases: tuple[LeaseMeasure, ...]
    environments: dict[str, int]
    open_holds: int
    events: int
    anchored_at: datetime | None


class Measuring(Database):
    """Counts over the ledger's views."""

    def read_measures(self, bounds_seconds: Sequence[float], now: datetime) -> Measures:
        """Counts of runs, leases, environments, holds, events, and the time of the newest anchor that is not lost."""
        state, seconds = run_state.c, func.extract("epoch", run_state.c.finished_at - run_state.c.begun_at)
        within = [func.count(case((seconds <= bound, 1))) for bound in bounds_seconds]
        runs = select(
            state.operation, state.status, func.count(), func.coalesce(func.sum(seconds), 0), *within
        ).group_by(state.operation, state.status)
        lease = lease_state.c
        leases = select(lease.environment, func.coalesce(lease.operation, ""), lease.taken_at, lease.beat_at)
        environments = select(environment_state.c.status, func.count()).group_by(environment_state.c.status)
        holds = select(func.count()).select_from(open_hold).where(open_hold.c.expires_at > now)
        lost = select(vault_loss.c.object_seq)
        anchored = select(func.max(vault_object.c.at)).where(
            vault_object.c.kind == ANCHOR, vault_object.c.seq.not_in(lost)
        )
        with self._read() as connection:
            return Measures(
                runs=tuple(
                    RunMeasure(operation=row[0], outcome=row[1], count=row[2], seconds=row[3], buckets=tuple(row[4:]))
                    for row in connection.execute(runs)
                ),
                leases=tuple(
                    LeaseMeasure(environment=row[0], operation=row[1], taken_at=row[2], beat_at=row[3])
                    for row in connection.execute(leases)
                ),
                environments={row[0]: row[1] for row in connection.execute(environments)},
                open_holds=connection.execute(holds).scalar() or 0,
                events=connection.execute(select(func.max(event.c.seq))).scalar() or 0,
                anchored_at=connection.execute(anchored).scalar(),
            )
