"""The REST API: it writes specs and requests to the ledger, starts runs in Prefect, and reads. It never acts itself.

Routes are plain functions, so FastAPI runs each on a thread and a slow database blocks nobody else.
"""

from typing import Any

from fastapi import Depends, FastAPI

from blocks.settings import Settings, read_settings
from console.auth import read_bearer
from console.contract import ErrorAnswer
from console.errors import add_error_answers
from console.gate import Gate
from console.limiter import Limiter
from console.routes import (
    accounts,
    backups,
    drills,
    environments,
    evidence,
    holds,
    metrics,
    plans,
    runs,
    status,
    tokens,
)
from console.sources import Sources
from console.strict_query import refuse_unknown_query
from domain.evidence import Anchor

#: What every address may answer; 401, 403, 413 and 429 come before a route is reached.
ERROR_CODES: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
}


def create_app(sources: Sources | None = None, settings: Settings | None = None) -> FastAPI:
    """The application; what is not given is opened as the settings say."""
    settings = settings or read_settings()
    sources = sources or _open_sources(settings)
    # No /docs: its page loads scripts from elsewhere.
    app = FastAPI(
        title="Terrarium",
        description="Environments from one YAML file: made, watched and removed by Prefect flows.",
        docs_url=None,
        redoc_url=None,
        responses=ERROR_CODES,
    )
    app.state.sources = sources
    app.add_middleware(
        Gate, sources=sources, limiter=Limiter(settings.api_calls_per_minute), body_bytes=settings.api_body_kib * 1024
    )
    for module in (environments, backups, holds, drills, runs, plans, accounts, tokens, status, evidence, metrics):
        app.include_router(module.router, dependencies=[Depends(read_bearer), Depends(refuse_unknown_query)])
    app.include_router(status.open_router)
    add_error_answers(app)
    return app


def _open_sources(settings: Settings) -> Sources:
    from blocks.account_blocks import AccountBlocks
    from blocks.environment_files import FOLDER
    from blocks.ledger import open_ledger
    from blocks.logs import write_json
    from blocks.prefect_api import open_prefect

    prefect = open_prefect(settings.prefect_api_url)
    if settings.log_format == "json":
        write_json()
    return Sources(
        ledger=open_ledger(settings.ledger_url.get_secret_value()),
        prefect=prefect,
        accounts=AccountBlocks(prefect),
        prefect_url=settings.prefect_url,
        environments_dir=FOLDER,
        approval_hours=settings.approval_hours,
        list_anchors=_list_anchors,
    )


def _list_anchors() -> list[Anchor]:
    """The anchors in the vault. Importing what asks AWS takes a second, so only who wants them waits for it."""
    from blocks.prefect_api import open_prefect
    from blocks.settings import read_settings
    from blocks.vault import find_account, list_anchors

    settings = read_settings()
    account = find_account(open_prefect(settings.prefect_api_url), settings.vault_account)
    return list_anchors(account, settings.ledger_name)
