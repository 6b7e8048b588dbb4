"""What the routes read and ask: the ledger, Prefect, the files of the checkout, and the clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from blocks.account_blocks import AccountsApi
from blocks.environment_files import read_classes
from blocks.ledger import Ledger
from blocks.prefect_api import RunsApi
from domain.errors import PermanentError
from domain.evidence import Anchor
from domain.progress import Event
from domain.spec import EnvironmentSpec
from domain.spec_file import resolve_spec
from domain.status import Operation


class UnknownError(PermanentError):
    """There is no such environment, run or plan."""


def _read_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sources:
    """`prefect_url` is where a browser finds Prefect; `environments_dir` holds the files and their classes.

    `approval_hours` is how long an approval counts. `list_anchors` asks the vault, which may be away.
    """

    ledger: Ledger
    prefect: RunsApi
    accounts: AccountsApi
    prefect_url: str
    environments_dir: Path
    approval_hours: float = 24
    read_clock: Callable[[], datetime] = field(default=_read_clock)
    list_anchors: Callable[[], Sequence[Anchor]] = field(default=tuple)

    def read_history(self, cloud: str, operation: Operation) -> Sequence[Sequence[Event]]:
        """Streams of earlier runs, read once a minute: a face asks for the progress of a run twice a second."""
        return self._read_history(cloud, operation, int(self.read_clock().timestamp() // 60))

    @cached_property
    def _read_history(self) -> Callable[[str, Operation, int], Sequence[Sequence[Event]]]:
        return lru_cache(maxsize=16)(lambda cloud, operation, _minute: self.ledger.read_history(cloud, operation))

    def resolve(self, text: str, file_name: str) -> EnvironmentSpec:
        """A file merged over its class. Raises SpecError with every fault."""
        return resolve_spec(text, file_name, read_classes(self.environments_dir))


def _give_sources(request: Request) -> Sources:
    sources: Sources = request.app.state.sources
    return sources


Given = Annotated[Sources, Depends(_give_sources)]
