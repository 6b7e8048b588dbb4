"""Faults of the ledger's database, on order: the record of a step's beginning or end is refused, or waits.

So every step of every flow can fail, or be killed, before its effect and after it, with nothing of ours replaced: the
fault is PostgreSQL's. The triggers act only on environments that a row of `rehearsal.fault` names.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from blocks.ledger.chain import LOCK as CHAIN

#: The lock that a hanging record takes, so that a test sees it hang.
HANGING = 64023
INSTALL = """
CREATE SCHEMA IF NOT EXISTS rehearsal;
CREATE TABLE IF NOT EXISTS rehearsal.fault (environment text, step text, moment text, kind text);
CREATE SEQUENCE IF NOT EXISTS rehearsal.attempts;
CREATE OR REPLACE FUNCTION rehearsal.act(about_run text, about_step text, at_moment text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    named text := (SELECT environment FROM ledger.run WHERE id = about_run LIMIT 1);
    chosen text := (SELECT kind FROM rehearsal.fault f
        WHERE f.environment = named AND f.step = about_step AND f.moment = at_moment);
BEGIN
    IF chosen = 'refuse' THEN
        RAISE EXCEPTION USING MESSAGE = 'rehearsed fault at the ' || at_moment || ' of ' || about_step;
    ELSIF chosen = 'away' AND nextval('rehearsal.attempts') <= 2 THEN
        RAISE EXCEPTION 'the database system is shutting down' USING ERRCODE = 'admin_shutdown';
    ELSIF chosen = 'hang' THEN
        PERFORM pg_advisory_xact_lock(64023);
        WHILE EXISTS (SELECT FROM rehearsal.fault f WHERE f.environment = named) LOOP
            PERFORM pg_sleep(0.05);
        END LOOP;
    END IF;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.at_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM rehearsal.act(NEW.run_id, NEW.name, 'begin');
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.at_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NEW.outcome = 'succeeded' THEN
        PERFORM rehearsal.act(s.run_id, s.name, 'end') FROM ledger.step s WHERE s.seq = NEW.step_id;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.at_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM rehearsal.act(NEW.run_id, 'save_plan', 'middle');
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.at_journal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM rehearsal.act(NEW.run_id, 'journal', 'middle');
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.at_run_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM rehearsal.act(NEW.run_id, 'outcome', 'begin');
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER rehearsal BEFORE INSERT ON ledger.run_outcome
    FOR EACH ROW EXECUTE FUNCTION rehearsal.at_run_outcome();
CREATE OR REPLACE TRIGGER rehearsal BEFORE INSERT ON ledger.journal
    FOR EACH ROW EXECUTE FUNCTION rehearsal.at_journal();
CREATE OR REPLACE TRIGGER rehearsal BEFORE INSERT ON ledger.step
    FOR EACH ROW EXECUTE FUNCTION rehearsal.at_step();
CREATE OR REPLACE TRIGGER rehearsal BEFORE INSERT ON ledger.step_outcome
    FOR EACH ROW EXECUTE FUNCTION rehearsal.at_outcome();
CREATE OR REPLACE TRIGGER rehearsal BEFORE INSERT ON ledger.plan
    FOR EACH ROW EXECUTE FUNCTION rehearsal.at_plan();
"""
REMOVE = "DROP SCHEMA IF EXISTS rehearsal CASCADE"


class Faults:
    """The faults of one ledger, through its owner's engine. Use as a context: nothing of it stays."""

    def __init__(self, owner: Engine) -> None:
        self._owner = owner

    def __enter__(self) -> "Faults":
        self._execute(INSTALL)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._execute(REMOVE)
        self._owner.dispose()

    @contextmanager
    def order(self, environment: str, step: str, moment: str, kind: str = "refuse") -> Iterator[None]:
        """While this lasts, the record of a step's `begin`, `middle` or `end` is refused, or waits (`hang`).

        `away` refuses two times, as a server that restarts does. The journal is called a step too, with a `middle`, and
        a run's outcome, with a `begin`.
        """
        row = {"environment": environment, "step": step, "moment": moment, "kind": kind}
        self._execute("INSERT INTO rehearsal.fault VALUES (:environment, :step, :moment, :kind)", row)
        try:
            yield
        finally:
            self._execute("DELETE FROM rehearsal.fault WHERE environment = :environment", row)

    def is_hanging(self) -> bool:
        """Whether a record waits now."""
        return self._count_locks(HANGING, is_granted=True) > 0

    def is_awaited(self) -> bool:
        """Whether another record waits for the end of the one that waits."""
        return self._count_locks(CHAIN, is_granted=False) > 0

    def _count_locks(self, number: int, *, is_granted: bool) -> int:
        held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :id AND granted = :granted")
        with self._owner.connect() as connection:
            return int(connection.execute(held, {"id": number, "granted": is_granted}).scalar() or 0)

    def _execute(self, statement: str, row: dict[str, str] | None = None) -> None:
        with self._owner.begin() as connection:
            connection.execute(text(statement), row)
