"""The environment of everything that the local stack starts: built from a short list, not inherited.

So the user's own AWS_*, PREFECT_*, TF_* and proxy variables reach no server, no flow and no Terraform, and `make up`
from another terminal starts nothing anew, as it would where a server's environment differs from before.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from blocks.logs import list_variables
from blocks.settings import Settings
from deployments.local.credentials import Credentials
from deployments.local.layout import Layout

# In the environment of every process of a stack, with the stack's id: so an orphan can be told from a stranger.
MARK = "TERRARIUM_STACK"

KEPT = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS", "KUBECONFIG")
KEPT_PREFIX = "OPENBLAS_"  # which kernels a processor needs
TERMINAL = ("PATH", "TERM", "COLUMNS", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "SSL_CERT_DIR")
# What only `up` and `down` ask for, and the URL that is built here.
OURS_ALONE = {
    *("start_timeout_seconds", "stop_timeout_seconds", "log_size_mib", "vault_path"),
    *("ledger_url", "ledger_owner_url", "token_file", "upgrade_dumps_kept"),
}


def build_environment(settings: Settings, credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that all parts of the stack share: no outside call, no profile of the user's."""
    programs = Path(sys.executable).parent
    kept = {key: value for key, value in environ.items() if key in KEPT or key.startswith(KEPT_PREFIX)}
    return (
        kept
        | {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        | {MARK: credentials.stack_id, "TMPDIR": str(Layout(settings.state_dir).temporary)}
        | {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        | (list_variables() if settings.log_format == "json" else {})
        | _build_prefect_client(settings, credentials)
    )


def build_flow_environment(settings: Settings, credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """What flows and the API get beside that: our settings, and where the ledger is."""
    ours = settings.model_dump(exclude=OURS_ALONE, exclude_none=True)
    variables = {f"TERRARIUM_{name.upper()}": str(value) for name, value in ours.items()}
    url = settings.ledger_url.get_secret_value() or database_url(settings, "terrarium_app", credentials.ledger_app)
    return build_environment(settings, credentials, environ) | variables | {"TERRARIUM_LEDGER_URL": url}


def build_own_environment(settings: Settings, credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of `up` itself: a flow's, on the user's terminal and with the user's PATH."""
    terminal = {key: environ[key] for key in TERMINAL if key in environ}
    return build_flow_environment(settings, credentials, environ) | terminal


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
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(Layout(settings.state_dir).prefect_pages),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def database_url(
    settings: Settings, role: str, password: str, database: str = "terrarium", driver: str = "psycopg"
) -> str:
    """SQLAlchemy URL of a database of the private PostgreSQL."""
    return f"postgresql+{driver}://{role}:{password}@{settings.host}:{settings.postgres_port}/{database}"


def _build_prefect_client(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """No client asks for the server's version, which is of the same lock file, or for a token that it does not use."""
    password = {"PREFECT_API_AUTH_STRING": credentials.prefect_auth} if settings.prefect_has_password else {}
    return password | {
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_API_SSL_CERT_FILE": str(Layout(settings.state_dir).prefect_certificate),
        "PREFECT_HOME": str(Layout(settings.state_dir).prefect_home),
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
    }
