"""Whether the API lives, and whether the parts that it needs answer it."""

from fastapi import APIRouter

from console.contract import ApiStatus, Health
from console.sources import Given, Sources
from domain.errors import TerrariumError

router = APIRouter(tags=["status"])
#: What anybody may read.
open_router = APIRouter(tags=["status"])


@open_router.get("/health")
def get_health() -> dict[str, bool]:
    """The API lives. Open to anybody: it tells nothing else."""
    return {"is_healthy": True}


@router.get("/api/status")
def get_status(sources: Given) -> ApiStatus:
    """The ledger and Prefect as the API sees them."""
    is_prefect_healthy = sources.prefect.is_healthy()
    parts = [
        _probe_ledger(sources),
        Health(
            name="prefect", is_healthy=is_prefect_healthy, detail="answers" if is_prefect_healthy else "does not answer"
        ),
    ]
    return ApiStatus(is_healthy=all(part.is_healthy for part in parts), parts=parts)


def _probe_ledger(sources: Sources) -> Health:
    try:
        count = len(sources.ledger.list_environments())
    except TerrariumError as error:
        return Health(name="ledger", is_healthy=False, detail=error.summary)
    return Health(name="ledger", is_healthy=True, detail=f"{count} environments")
