"""The watcher: `python -m deployments.local.watch`, one process of the stack, under its supervisor.

It watches the environments whose file says `recovery.failover: automatic`, reads what the ledger says of them, and
starts runs through Prefect's API. It changes nothing itself. What it has seen is in its memory alone: one that is
started again fails nothing over before it has seen the pair whole, so never an outage that had begun by then.
"""

import logging
import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blocks.ledger import EnvironmentRow, Ledger, open_ledger
from blocks.logs import write_json
from blocks.postgres.pair_files import Pair, list_records, open_pair
from blocks.prefect_api import PrefectApi, read_auth
from blocks.settings import Settings, read_settings
from blocks.supervisor import Stack, read_stack
from deployments.local.watch_page import serve_page
from deployments.local.watched import EnvironmentWatch
from domain.spec import EnvironmentSpec
from domain.spec_parts import Recovery
from domain.status import EnvironmentStatus, Operation
from domain.third_look import Grounds
from domain.watch import Standing, Verdict, has_come_to_pair

ACTOR = "watcher"
DEPLOYMENT = "failover"
#: How often the ledger is asked which environments there are.
REFRESH_SECONDS = 2.0
PATIENCE_SECONDS = 2.0
#: An environment in one of these has nothing that could fail over.
GONE = (EnvironmentStatus.DESTROYING, EnvironmentStatus.DESTROYED, EnvironmentStatus.LOST)


class Watcher:
    """Every watch by its environment. `refreshed_at`: when the ledger answered last, by the monotonic clock."""

    def __init__(self, settings: Settings, stack: Stack, ledger: Ledger, prefect: PrefectApi) -> None:
        self._settings, self._stack, self._ledger, self._prefect = settings, stack, ledger, prefect
        self._specs: dict[tuple[str, int], EnvironmentSpec] = {}
        self.watches: dict[str, EnvironmentWatch] = {}
        self.refreshed_at = time.monotonic()

    def refresh(self) -> None:
        """Watch what is to be watched now, and nothing else."""
        wanted = {pair.environment: (pair, standing) for pair, standing in self._list_wanted()}
        for name in [name for name, watch in self.watches.items() if not _is_of(watch, wanted.get(name))]:
            self.watches.pop(name).end()
            logging.info("%s is watched no more, or anew", name)
        for name, (pair, standing) in wanted.items():
            if name in self.watches:
                self.watches[name].standing = standing
                continue
            read = partial(self._read_standing, name, standing.recovery)
            self.watches[name] = EnvironmentWatch(pair, standing, read, partial(self._start, name))
            self.watches[name].begin()
            logging.info("%s is watched", name)
        self.refreshed_at = time.monotonic()

    def _list_wanted(self) -> list[tuple[Pair, Standing]]:
        found = []
        for record in list_records(self._stack):
            known = self._ledger.read_environment(record.environment) if record.is_ready else None
            recovery = self._read_recovery(known) if known else None
            if recovery and recovery.failover == "automatic":
                pair = open_pair(self._stack, record.environment, self._settings.postgres_bin_dir or Path())
                found.append((pair, self._read_standing(record.environment, recovery)))
        return found

    def _read_recovery(self, known: EnvironmentRow) -> Recovery | None:
        """Of the spec that the environment was last made with."""
        if known.ready_at is None or known.status in GONE:
            return None
        version = self._ledger.read_made_version(known.name) or known.spec_version
        if version is None:
            return None
        if (known.name, version) not in self._specs:
            text = self._ledger.read_spec(known.name, version).spec_json
            self._specs[known.name, version] = EnvironmentSpec.model_validate_json(text)
        return self._specs[known.name, version].recovery

    def _read_standing(self, environment: str, recovery: Recovery) -> Standing:
        holder = next((one for one in self._ledger.list_leases() if one.environment == environment), None)
        steps = [step.name for step in self._ledger.read_steps(holder.run_id)] if holder else []
        place = "busy_with" if has_come_to_pair(steps) else "held_by"
        return Standing(
            recovery=recovery,
            hold=self._ledger.read_hold(environment),
            **({place: str(holder)} if holder else {}),
            last_failover_at=self._ledger.read_last_failover_at(environment),
        )

    def _start(self, environment: str, verdict: Verdict) -> str:
        """The id of the run: of a new one, or of the one that was started for this outage."""
        grounds = Grounds(decided_at=datetime.now(UTC), loss_seconds=verdict.loss_seconds)
        request = (environment, Operation.FAILOVER, None, None, ACTOR, verdict.told)
        self._ledger.add_request(verdict.outage, *request)
        asked = {"environment": environment, "reason": verdict.told, "grounds": grounds.model_dump(mode="json")}
        return self._prefect.start_run(DEPLOYMENT, asked, verdict.outage).run_id


def _is_of(watch: EnvironmentWatch, wanted: tuple[Pair, Standing] | None) -> bool:
    return wanted is not None and wanted[0].record == watch.pair.record


def main() -> None:
    """Until it is ended."""
    os.umask(0o077)
    settings = read_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if settings.log_format == "json":
        write_json()
    prefect = PrefectApi(settings.prefect_api_url, read_auth(), PATIENCE_SECONDS)
    with open_ledger(settings.ledger_url.get_secret_value(), PATIENCE_SECONDS) as ledger:
        watcher = Watcher(settings, read_stack(settings), ledger, prefect)
        serve_page(settings.host, settings.watcher_port, watcher)
        while True:
            try:
                watcher.refresh()
            except Exception as error:  # the watches go on; the page says that the ledger is not reached
                logging.warning("The ledger, or what it says, could not be read: %s", error)
            time.sleep(REFRESH_SECONDS)


if __name__ == "__main__":
    main()
