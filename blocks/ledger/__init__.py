"""Our own database: insert-only records, each in a chain of events; current state is a view."""

from blocks.ledger.ledger import Ledger, open_ledger
from blocks.ledger.rows import (
    EnvironmentRow,
    GenerationRow,
    PlanRow,
    RequestRow,
    RunRow,
    SpecVersion,
    StepRow,
    TemporaryRow,
)

__all__ = [
    "EnvironmentRow",
    "GenerationRow",
    "Ledger",
    "PlanRow",
    "RequestRow",
    "RunRow",
    "SpecVersion",
    "StepRow",
    "TemporaryRow",
    "open_ledger",
]
