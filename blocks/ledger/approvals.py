"""Approvals of plans, each bound to the digest of what was seen."""

from datetime import datetime

from sqlalchemy import select

from blocks.ledger.database import Database
from blocks.ledger.tables import plan, run
from blocks.ledger.team_tables import approval
from domain.approval import Approval


class Approvals(Database):
    """Who approved which plan, and why."""

    def add_approval(
        self, plan_id: str, environment: str, digest: str, actor: str, reason: str, expires_at: datetime
    ) -> None:
        """Record an approval. Whether it counts is decided where it is used."""
        row = {
            "plan_id": plan_id,
            "environment": environment,
            "digest": digest,
            "actor": actor,
            "reason": reason,
            "expires_at": expires_at,
        }
        with self._append() as chain:
            chain.append(approval, row, environment=environment, actor=actor, reason=reason, outcome=plan_id)

    def list_approvals(self, plan_id: str) -> tuple[Approval, ...]:
        """The approvals of a plan, oldest first."""
        query = select(approval, approval.c.actor.label("approver")).where(approval.c.plan_id == plan_id)
        with self._read() as connection:
            return tuple(map(Approval.model_validate, connection.execute(query.order_by(approval.c.seq))))

    def read_requester(self, plan_id: str, now: datetime) -> str | None:
        """Who asked first for a plan that is not over at `now`; None where nobody did.

        Who makes the same plan again, to look at it, does not take it over.
        """
        query = (
            select(run.c.actor)
            .join_from(plan, run, run.c.id == plan.c.run_id)
            .where(plan.c.id == plan_id, plan.c.expires_at > now)
            .order_by(plan.c.seq, run.c.attempt)
            .limit(1)
        )
        with self._read() as connection:
            return connection.execute(query).scalar()
