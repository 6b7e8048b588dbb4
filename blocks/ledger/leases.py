"""Who changes an environment now: one lease for each environment, held by a run and the process that acts for it.

`begin_step` and `finish_step` check it in their own transaction, so a run that lost its lease records nothing more. A
run whose process is proved dead is taken over: from then on the process that took it over acts for it, under the
lease that the run has, until it records how the run ended.
"""

import os
import socket
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, update
from sqlalchemy import Row as SqlRow
from sqlalchemy.dialects.postgresql import insert

from blocks.ledger.chain import ChainWriter
from blocks.ledger.database import Database
from blocks.ledger.rows import Row
from blocks.ledger.tables import run
from blocks.ledger.team_tables import lease, liveness, takeover
from blocks.ledger.views import lease_state, run_state
from blocks.state_lock import HolderProcess, identify_process, is_provably_dead
from domain.errors import PermanentError
from domain.status import Operation

#: Runs that change their environment. A plan takes no lease: Terraform's own lock is enough for what it reads.
CHANGING_OPERATIONS = (Operation.PROVISION, Operation.TEARDOWN, Operation.DRILL, Operation.FAILOVER)
NOBODY = 0  # the process id of a run that a person has declared dead


class LostLeaseError(PermanentError):
    """The run does not hold its lease any more: somebody else acts for it, and records how it ended."""


class LivenessRow(Row):
    """The process that acts for a run, and when it last said so. `host` is its name and its machine id."""

    run_id: str
    environment: str
    host: str
    pid: int
    start_ticks: int
    boot_id: str
    pid_namespace: str
    beat_at: datetime

    @property
    def is_proved_dead(self) -> bool:
        """Nothing alive can be this process: it is gone, its machine has booted since, or a person said so."""
        return self.pid == NOBODY or is_provably_dead(_read_process(self))

    @property
    def is_own(self) -> bool:
        """It is this process."""
        return _is_own(self)


class LeaseRow(Row):
    """A lease with its holder; what is None was never said by the run."""

    environment: str
    run_id: str
    taken_at: datetime
    host: str | None
    pid: int | None
    beat_at: datetime | None
    actor: str | None
    operation: str | None

    def __str__(self) -> str:
        where = f"process {self.pid} on {(self.host or '?').partition('/')[0]}"
        return f"run {self.run_id} ({self.operation or 'beginning'} by {self.actor or '?'}, {where})"


class Leases(Database):
    """Taking, keeping, releasing and taking over."""

    def enter_run(self, run_id: str, environment: str) -> None:
        """Say that this process acts for a run. A process that did so before has lost the run's lease by this."""
        row = {"environment": environment, **_describe_own_process(), "beat_at": func.clock_timestamp()}
        entered = insert(liveness).values(run_id=run_id, **row)
        with self._write() as connection:
            connection.execute(entered.on_conflict_do_update(index_elements=["run_id"], set_=row))

    def beat(self, run_id: str) -> bool:
        """Say that this process still acts for a run; False where another one does by now."""
        beating = update(liveness).where(liveness.c.run_id == run_id, _is_this_process())
        with self._write() as connection:
            return bool(connection.execute(beating.values(beat_at=func.clock_timestamp())).rowcount)

    def take_lease(self, environment: str, run_id: str) -> LeaseRow | None:
        """None where the run has the lease now; else the lease of the run that holds it."""
        holder = None
        while holder is None:  # none: who held it let go between the two statements
            holder = self._try_lease(environment, run_id)
        return None if holder.run_id == run_id else LeaseRow.model_validate(holder)

    def _try_lease(self, environment: str, run_id: str) -> SqlRow[tuple[object, ...]] | None:
        taking = insert(lease).values(environment=environment, run_id=run_id, taken_at=func.clock_timestamp())
        with self._write() as connection:
            connection.execute(taking.on_conflict_do_nothing())
            return connection.execute(_select_leases().where(lease_state.c.environment == environment)).first()

    def leave_run(self, run_id: str) -> None:
        """This process acts for a run no more: the lease, where the run has one, is free.

        Not where it lost the run, and not where the run's end is not on record: that is for the sweeper to find.
        """
        is_open = exists().where(run_state.c.run_id == run_id, run_state.c.finished_at.is_(None))
        mine = select(liveness.c.run_id).where(liveness.c.run_id == run_id, _is_this_process(), ~is_open)
        with self._write() as connection:
            for table in (lease, liveness):
                connection.execute(delete(table).where(table.c.run_id.in_(mine)))

    def list_leases(self) -> list[LeaseRow]:
        """Every lease, by environment."""
        with self._read() as connection:
            rows = connection.execute(_select_leases().order_by(lease_state.c.environment))
            return [LeaseRow.model_validate(row) for row in rows]

    def list_live(self, environment: str | None = None) -> list[LivenessRow]:
        """Every run that some process acts for, or acted for until it died; of one environment or of all."""
        query = select(liveness).order_by(liveness.c.run_id)
        if environment is not None:
            query = query.where(liveness.c.environment == environment)
        with self._read() as connection:
            return [LivenessRow.model_validate(row) for row in connection.execute(query)]

    def is_waiting(self, run_id: str) -> bool:
        """Whether a run that has not begun waits for the lease of another one."""
        held = exists().where(lease.c.environment == liveness.c.environment, lease.c.run_id != run_id)
        begun = exists().where(run_state.c.run_id == run_id, run_state.c.finished_at.is_(None))
        with self._read() as connection:
            return bool(connection.execute(select(liveness).where(liveness.c.run_id == run_id, held, ~begun)).first())

    def take_over(self, dead: LivenessRow, actor: str, reason: str) -> bool:
        """Act for a run whose process is proved dead; False where another process did so first, or it ended.

        The chain has it once for each actor and attempt of the run, however often its end has to be tried.
        """
        same = and_(liveness.c.run_id == dead.run_id, _is_process(dead))
        taken = update(liveness).where(same).values(**_describe_own_process(), beat_at=func.clock_timestamp())
        with self._append() as chain:
            if not chain.connection.execute(taken).rowcount:
                return False
            if not _has_taken_over(chain, dead.run_id, actor):
                _record_takeover(chain, dead.environment, dead.run_id, actor, reason)
        return True

    def unlock(self, environment: str, actor: str, reason: str) -> str:
        """Declare dead the run that holds an environment: its process can record nothing more, and it is swept.

        Its run's id: one that died before its begin is not on record. PermanentError where no run holds it.
        """
        with self._append() as chain:
            held = chain.fetch(select(lease).where(lease.c.environment == environment))
            if held is None:
                raise PermanentError(
                    f"{environment} is not locked: no run holds it.",
                    f"`terrarium env show {environment}` shows its runs.",
                )
            chain.connection.execute(delete(lease).where(lease.c.run_id == held.run_id))
            declared = update(liveness).where(liveness.c.run_id == held.run_id)
            chain.connection.execute(declared.values(pid=NOBODY, start_ticks=0))
            _record_takeover(chain, environment, held.run_id, actor, reason)
        return str(held.run_id)


def refuse_without_lease(chain: ChainWriter, run_id: str, environment: str, operation: str) -> None:
    """LostLeaseError where a run that changes things does not hold its environment through this process."""
    if operation not in CHANGING_OPERATIONS:
        return
    mine = (lease.c.run_id == run_id, lease.c.environment == environment, _is_this_process())
    if chain.fetch(select(lease.c.run_id).join(liveness, liveness.c.run_id == lease.c.run_id).where(*mine)) is None:
        raise LostLeaseError(
            f"{environment}: run {run_id} does not hold the environment's lease in this process.",
            f"It was taken over or unlocked, and its end is recorded by who did: `terrarium runs show {run_id}`.",
        )


def release(chain: ChainWriter, run_id: str) -> None:
    """Within the transaction of a run's outcome: nobody acts for it from now on."""
    for table in (lease, liveness):
        chain.connection.execute(delete(table).where(table.c.run_id == run_id))


def _has_taken_over(chain: ChainWriter, run_id: str, actor: str) -> bool:
    begun = select(func.coalesce(func.max(run.c.seq), 0)).where(run.c.id == run_id).scalar_subquery()
    by_actor = (takeover.c.dead_run_id == run_id, takeover.c.actor == actor, takeover.c.seq > begun)
    return chain.fetch(select(takeover.c.seq).where(*by_actor)) is not None


def _record_takeover(chain: ChainWriter, environment: str, run_id: str, actor: str, reason: str) -> None:
    row = {"environment": environment, "dead_run_id": run_id, "actor": actor, "reason": reason}
    chain.append(
        takeover, row, environment=environment, actor=actor, run_id=run_id, reason=reason, outcome="taken over"
    )


def _select_leases() -> Select[tuple[object, ...]]:
    return select(*(lease_state.c[name] for name in LeaseRow.model_fields))


def _describe_own_process() -> dict[str, str | int]:
    """This process as the columns of `liveness`; where the system does not tell, it is never proved dead."""
    unknown = HolderProcess(pid=os.getpid(), start_ticks=0, boot_id="", pid_namespace="", machine_id="")
    process = identify_process(os.getpid()) or unknown
    host = f"{socket.gethostname()}/{process.machine_id}"
    return {**process.model_dump(exclude={"machine_id"}), "host": host}


def _is_this_process() -> ColumnElement[bool]:
    return and_(*(liveness.c[name] == value for name, value in _describe_own_process().items()))


def _is_process(row: LivenessRow) -> ColumnElement[bool]:
    names = ("host", "pid", "start_ticks", "boot_id", "pid_namespace")
    return and_(*(liveness.c[name] == getattr(row, name) for name in names))


def _is_own(row: LivenessRow) -> bool:
    return all(getattr(row, name) == value for name, value in _describe_own_process().items())


def _read_process(row: LivenessRow) -> HolderProcess:
    """The process as the proof wants it. A machine id alone is no proof: images carry it, so its name counts too."""
    name, _, machine_id = row.host.partition("/")
    return HolderProcess(
        pid=row.pid,
        start_ticks=row.start_ticks,
        boot_id=row.boot_id,
        pid_namespace=row.pid_namespace,
        machine_id=machine_id if name == socket.gethostname() else "",
    )
