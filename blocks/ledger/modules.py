"""Which version of the Terraform modules an environment keeps, and what a request allows to be replaced."""

from collections.abc import Iterable

from sqlalchemy import select

from blocks.ledger.database import Database
from blocks.ledger.rows import ModulePinRow
from blocks.ledger.team_tables import module_pin, replacement
from blocks.ledger.views import live_generation


class Modules(Database):
    """The pins of modules: the newest of the live generation counts."""

    def add_module_pin(self, environment: str, generation: int, digest: str, location: str, run_id: str) -> None:
        """Record that a generation keeps these modules from now on; the same one again changes nothing."""
        row = {
            "environment": environment,
            "generation": generation,
            "digest": digest,
            "location": location,
            "run_id": run_id,
        }
        newest = select(module_pin).where(
            module_pin.c.environment == environment, module_pin.c.generation == generation
        )
        with self._append() as chain:
            known = chain.fetch(newest.order_by(module_pin.c.seq.desc()).limit(1))
            if known is not None and known.digest == digest:
                return
            actor = chain.read_run(run_id).actor
            chain.append(module_pin, row | {"actor": actor}, environment=environment, actor=actor, run_id=run_id)

    def read_module_pin(self, environment: str) -> ModulePinRow | None:
        """The pin of the live generation; None where it has none, or nothing is live."""
        live = live_generation.c
        query = (
            select(module_pin)
            .join(
                live_generation,
                (live.environment == module_pin.c.environment) & (live.number == module_pin.c.generation),
            )
            .where(module_pin.c.environment == environment)
            .order_by(module_pin.c.seq.desc())
            .limit(1)
        )
        with self._read() as connection:
            row = connection.execute(query).mappings().first()
        return ModulePinRow.model_validate(dict(row)) if row else None


class Replacements(Database):
    """Addresses that a person said may be replaced, destroyed or made smaller though they hold data."""

    def add_replacements(self, request_id: str, environment: str, addresses: Iterable[str], actor: str) -> None:
        """Record what a request allows; what it allowed already is left as it is."""
        with self._append() as chain:
            for address in dict.fromkeys(addresses):
                known = select(replacement).where(
                    replacement.c.request_id == request_id, replacement.c.address == address
                )
                if chain.fetch(known) is None:
                    row = {"request_id": request_id, "environment": environment, "address": address, "actor": actor}
                    chain.append(replacement, row, environment=environment, actor=actor, reason=address)

    def read_replacements(self, request_id: str) -> frozenset[str]:
        """The addresses that a request allows."""
        query = select(replacement.c.address).where(replacement.c.request_id == request_id)
        with self._read() as connection:
            return frozenset(connection.execute(query).scalars())
