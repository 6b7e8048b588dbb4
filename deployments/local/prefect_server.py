"""`python -m deployments.local.prefect_server`: `prefect server start`, which does two things less for each run.

The server computes on one core, and nothing is answered meanwhile.
"""

import gc
import json
import socket
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import uvicorn
from prefect.cli import app
from prefect.utilities.schema_tools import validation

#: New objects before a look at the youngest, and looks at each generation before one at the next; Python: 700, 10, 10.
COLLECT_AFTER = (1000, 10, 100)
#: Schemas: of parameters, one for each deployment, and of job variables, one for each work pool.
SCHEMAS = 256

start_uvicorn = uvicorn.Server.startup
check_schema = validation._VALIDATOR.check_schema


async def start_and_freeze(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Start as before. What is there then stays as long as the server, so no garbage collection looks at it again."""
    await start_uvicorn(server, sockets)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@lru_cache(SCHEMAS)
def check_text(text: str) -> None:
    """jsonschema's SchemaError where a schema is none; that is not remembered."""
    check_schema(json.loads(text))


def check_once(schema: Mapping[str, Any], **_: Any) -> None:
    """Whether a schema is one. Prefect asks that three times for each new run, and a schema is what it was."""
    check_text(json.dumps(schema, sort_keys=True))


if __name__ == "__main__":
    uvicorn.Server.startup = start_and_freeze  # type: ignore[method-assign] - it has no hook for it
    validation._VALIDATOR.check_schema = check_once
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()
