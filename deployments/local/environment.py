"""The environment of everything that the local stack starts: built from a short list, not inherited.

So the user's own AWS_*, PREFECT_*, TF_* and proxy variables reach no server, no flow and no Terraform.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from blocks.settings import Settings
from deployments.local.credentials import Credentials
from deployments.local.layout import Layout

# In the environment of every process of a stack, with the stack's id: so an orphan can be told from a stranger.
MARK = "TERRARIUM_STACK"

KEPT = {"HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM", "XDG_CACHE_HOME", "KUBECONFIG"}
KEPT_PREFIXES = ("LC_", "OPENBLAS_", "TERRARIUM_")


def read_plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the user's environment a server may see, with this Python's programs first on PATH."""
    kept = {key: value for key, value in environ.items() if key in KEPT or key.startswith(KEPT_PREFIXES)}
    programs = Path(sys.executable).parent
    return kept | {"PATH": f"{programs}:{environ.get('PATH', '/usr/bin:/bin')}", "PYTHONUNBUFFERED": "1"}


def build_environment(settings: Settings, credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that all parts of the stack share: no outside call, no profile of the user's."""
    return (
        read_plain_environment(environ)
        | {MARK: credentials.stack_id, "TERRARIUM_STATE_DIR": str(settings.state_dir)}
        | {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        | _build_prefect_client(settings, credentials)
    )


def build_ledger_environment(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """How a process finds the ledger: the private one, unless the user named another."""
    url = settings.ledger_url.get_secret_value() or database_url(settings, "terrarium_app", credentials.ledger_app)
    return {"TERRARIUM_LEDGER_URL": url}


def build_prefect_server_environment(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """What only the Prefect server may know. Its pages may be used from its own address, not from other sites."""
    url = database_url(settings, "prefect", credentials.prefect_database, "prefect", "asyncpg")
    origins = f"{settings.prefect_url},http://localhost:{settings.prefect_port}"
    password = {"PREFECT_SERVER_API_AUTH_STRING": credentials.prefect_auth} if settings.prefect_has_password else {}
    return password | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
        "PREFECT_SERVER_ENCRYPTION_KEY": credentials.prefect_encryption_key,
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": origins,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def database_url(
    settings: Settings, role: str, password: str, database: str = "terrarium", driver: str = "psycopg"
) -> str:
    """SQLAlchemy URL of a database of the private PostgreSQL."""
    return f"postgresql+{driver}://{role}:{password}@{settings.host}:{settings.postgres_port}/{database}"


def _build_prefect_client(settings: Settings, credentials: Credentials) -> dict[str, str]:
    password = {"PREFECT_API_AUTH_STRING": credentials.prefect_auth} if settings.prefect_has_password else {}
    return password | {
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_HOME": str(Layout(settings.state_dir).prefect_home),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
    }
