"""Evidence: have the head of the chain anchored, and hand out all of it for a check elsewhere."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from console.contract import Run
from console.routes.asking import Asked, answer_once
from console.routes.views import merge_run
from console.sources import Given, Sources
from domain.errors import TerrariumError
from domain.evidence import ANCHOR, Anchor, read_anchor
from domain.status import Operation

router = APIRouter(prefix="/api/evidence", tags=["evidence"])


@router.post("/anchor", status_code=202)
def anchor_evidence(sources: Given, asking: Asked, response: Response) -> Run:
    """Start the run that writes the head of the chain into the vault."""

    def start() -> Run:
        sources.ledger.add_request(
            asking.request_id, "", Operation.ANCHOR, None, None, asking.actor, fingerprint=asking.fingerprint
        )
        flow_run = sources.prefect.start_run(Operation.ANCHOR.value, {}, idempotency_key=asking.request_id)
        return merge_run(sources, None, flow_run)

    return answer_once(response, sources, asking, start)


@router.get("/export", response_class=StreamingResponse)
def export_evidence(sources: Given) -> StreamingResponse:
    """Every event with its record, and the anchors that are known, as lines of JSON; `evidence verify` reads them."""
    anchors = _list_known(sources)
    lines: Iterator[str] = sources.ledger.export(anchors, sources.read_clock())
    return StreamingResponse(lines, media_type="application/x-ndjson")


def _list_known(sources: Sources) -> list[Anchor]:
    """What the vault has; where it is away, what the ledger says was put there and is not lost."""
    try:
        found = list(sources.list_anchors())
    except TerrariumError:
        found = []
    recorded = [row for row in sources.ledger.list_vault_objects() if row.kind == ANCHOR and row.lost_at is None]
    known = {anchor.location: anchor for row in recorded if (anchor := read_anchor(row.location))}
    return list({**known, **{anchor.location: anchor for anchor in found}}.values())
