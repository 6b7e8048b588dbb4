"""Settings of our processes: the only place where the environment variables `TERRARIUM_*` are read.

Every attribute has a default, and its description tells the unit and the reason; docs/settings.md repeats them.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parents[1]


def _from_checkout(path: Path) -> Path:
    """An absolute path; a relative one starts at the checkout's root, whatever the current folder is."""
    return (CHECKOUT / path.expanduser()).absolute()


Port = Annotated[int, Field(ge=1, le=65535)]
CheckoutPath = Annotated[Path, AfterValidator(_from_checkout)]


class Settings(BaseSettings):
    """Read from environment variables with the prefix TERRARIUM_. Frozen: a changed setting needs a restart."""

    model_config = SettingsConfigDict(env_prefix="TERRARIUM_", frozen=True, extra="ignore", validate_default=True)

    state_dir: CheckoutPath = Field(
        default=Path(".terrarium"),
        description="Folder, relative to the checkout. All that the local stack keeps: two clones never share data.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address. What all local servers listen on: loopback, for Prefect's API knows no roles.",
    )
    postgres_port: Port = Field(
        default=5434,
        description="TCP port. Our private PostgreSQL: not 5432, which a PostgreSQL of the system's own has.",
    )
    prefect_port: Port = Field(
        default=4200, description="TCP port. Prefect's API and UI: the port its documentation uses."
    )
    emulator_port: Port = Field(
        default=5566, description="TCP port. The AWS emulator: beside 5000, which others like to take."
    )
    api_port: Port = Field(default=8700, description="TCP port. Our REST API, which the command line talks to.")
    worker_port: Port = Field(
        default=8701, description="TCP port. The worker's own health page: it tells whether the worker still polls."
    )
    watcher_port: Port = Field(
        default=8702,
        description="TCP port. The watcher's page: its health, and as metrics what it sees of each environment.",
    )
    vault_port: Port = Field(
        default=8202,
        description="TCP port. The local Vault (an OpenBao): not 8200 and 8201, which a Vault of the user's own has.",
    )
    pair_port: Port = Field(
        default=5440,
        description=(
            "TCP port. The first of those that database pairs take, five each: gateway, both servers, both ends of the "
            "link. A pair keeps its ports."
        ),
    )
    ledger_url: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "SQLAlchemy URL of the ledger for the role that may only read and insert. Empty: the private PostgreSQL of "
            "`make up`, which gives the URL to the processes it starts."
        ),
    )
    ledger_owner_url: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "SQLAlchemy URL of the ledger for its owner. Only `python -m deployments migrate` reads it, in a stack "
            "that is not `make up`'s own: no process that runs flows or answers people should have it."
        ),
    )
    prefect_server_url: str = Field(
        default="",
        description=(
            "URL without a path, like http://prefect:4200. Where our processes reach Prefect's server, when it is on "
            "another host than they are. Empty: `host` and `prefect_port`."
        ),
    )
    ledger_name: str = Field(
        default="terrarium",
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description=(
            "Word. What a vault keeps the anchors and backups of this ledger under: two stacks that share an account "
            "need two names, and so does a ledger that goes on from an older backup."
        ),
    )
    vault_account: str = Field(
        default="production",
        description="Name of an account. Whose vault holds the anchors of the chain and backups of the control plane.",
    )
    upgrade_dumps_kept: int = Field(
        default=5,
        ge=1,
        description="Count. Dumps of the ledger that `make up` keeps from before its migrations, the newest ones.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description=(
            "text or json. How servers and flows write their logs: json is a line for each record, with run, "
            "environment and step, for what collects logs."
        ),
    )
    otlp_endpoint: str = Field(
        default="",
        description=(
            "URL, such as http://localhost:4318. Where traces of runs are sent by OTLP over HTTP. Empty: no tracing, "
            "and nothing of OpenTelemetry's is imported."
        ),
    )
    prefect_has_password: bool = Field(
        default=False,
        description=(
            "True or false. Whether Prefect's API and UI ask for the password in the state folder's credentials. "
            "Off: the server is on loopback and its UI opens without a question. Turn it on where others share the "
            "machine, for who can reach Prefect's API can run programs as the user who ran `make up`."
        ),
    )
    postgres_bin_dir: CheckoutPath | None = Field(
        default=None,
        description=(
            "Folder with `postgres` and `initdb`. Unset: found on PATH and in the system's usual places, else the "
            "programs of the locked wheel."
        ),
    )
    terraform_path: CheckoutPath | None = Field(
        default=None,
        description="File. The Terraform program. Unset: found on PATH, else fetched once into the user's cache.",
    )
    terraform_version: str = Field(
        default="1.11.4",
        description=(
            "Version. What is fetched where PATH has no Terraform from 1.11 on and below 2: 1.11 brought write-only "
            "arguments, which keep the database password out of the state."
        ),
    )
    vault_path: CheckoutPath | None = Field(
        default=None,
        description=(
            "File. The OpenBao program, 2.4 or newer, for the local Vault. Unset: `bao` on PATH, else the one that "
            "`python -m deployments.local.build_openbao` built into the user's cache; where there is none, `make up` "
            "goes without."
        ),
    )
    provider_mirror: CheckoutPath | None = Field(
        default=None,
        description=(
            "Folder that holds `registry.terraform.io/hashicorp/aws`. Unset: Terraform's own mirror folders and the "
            "usual places for third-party software are searched; where there is none, the registry is asked."
        ),
    )
    heartbeat_seconds: float = Field(
        default=10,
        gt=0,
        description=(
            "Seconds. How often a run says that it lives. A run whose process cannot be proved dead from here, such as "
            "one on another machine, is reported once it has been silent for six of them."
        ),
    )
    lease_wait_minutes: float = Field(
        default=30,
        ge=0,
        description=(
            "Minutes. How long a run waits for another one that changes the same environment, before it is refused: "
            "longer than most applies take."
        ),
    )
    runs_at_once: int = Field(
        default=10,
        ge=1,
        description=(
            "Count. How many runs that people ask for may run in the work pool at once; a further one waits, and is "
            "Late in Prefect meanwhile. An apply on AWS takes about 0.8 GB. Housekeeping and failovers never wait. "
            "`make up` and `python -m deployments register` write it to Prefect."
        ),
    )
    start_timeout_seconds: float = Field(
        default=180,
        gt=0,
        description=(
            "Seconds. How long one server may take to be healthy: Prefect's first start makes its tables, 15 seconds "
            "on 2 idle cores and 40 on busy ones."
        ),
    )
    stop_timeout_seconds: float = Field(
        default=60,
        gt=0,
        description=(
            "Seconds. How long `make down` waits for a running flow before it kills: Terraform, when interrupted, "
            "still waits for what it has begun and writes its state."
        ),
    )
    token_file: CheckoutPath | None = Field(
        default=None,
        description=(
            "File with the token that the command line brings to the API. Unset: the one that `make up` made, in the "
            "state folder."
        ),
    )
    api_body_kib: int = Field(
        default=1024,
        gt=0,
        description="KiB. The largest body that the API reads: a specification has at most 200.",
    )
    api_calls_per_minute: int = Field(
        default=6000,
        gt=0,
        description=(
            "Calls. How many a token may make in a minute, and an address without a valid one. A waiting command asks "
            "twice a second, so this is for 50 of them."
        ),
    )
    approval_hours: float = Field(
        default=24,
        gt=0,
        description="Hours. How long an approval counts; never longer than the plan that it is for.",
    )
    approval_wait_minutes: float = Field(
        default=60,
        gt=0,
        description=(
            "Minutes. How long a run waits for its plan to be approved: it keeps a process meanwhile, and its "
            "environment from other changes."
        ),
    )
    failover_detection_ms: int = Field(
        default=100,
        ge=20,
        le=60_000,
        description=(
            "Milliseconds. How long the primary must have been silent in a drill before it counts as lost; it is part "
            "of the outage that the drill reports. Longer than a hiccup that nobody would fail over for."
        ),
    )
    probe_pause_ms: int = Field(
        default=5,
        ge=1,
        le=1000,
        description=(
            "Milliseconds. Between two rows of a drill's probe: the resolution of what it measures, against the load "
            "that it puts on the database."
        ),
    )
    log_size_mib: int = Field(
        default=10,
        gt=0,
        description="MiB. Size at which a server's log is put aside; one older file is kept, so the disk cannot fill.",
    )

    @property
    def prefect_url(self) -> str:
        """Where a browser finds Prefect."""
        return f"http://{self.host}:{self.prefect_port}"

    @property
    def prefect_api_url(self) -> str:
        """Where a Prefect client finds the server: the value of PREFECT_API_URL."""
        return f"{self.prefect_server_url.rstrip('/') or self.prefect_url}/api"

    @property
    def emulator_url(self) -> str:
        """The endpoint of every AWS service of the emulator."""
        return f"http://{self.host}:{self.emulator_port}"

    @property
    def vault_url(self) -> str:
        """Where the local Vault answers."""
        return f"http://{self.host}:{self.vault_port}"

    @property
    def api_url(self) -> str:
        """Where our own API answers."""
        return f"http://{self.host}:{self.api_port}"


@lru_cache
def read_settings() -> Settings:
    """Settings of this process, read once."""
    return Settings()
