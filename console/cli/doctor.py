"""What may be in the way of the local stack, and the way out. It only looks: nothing is fetched, started or changed."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from blocks.kept_servers import read_kept_parts
from blocks.openbao_binary import BUILD_COMMAND, find_openbao
from blocks.ports import is_free
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT, Settings, read_settings
from blocks.supervisor import Stack, read_parts
from blocks.terraform_binary import OLDEST, TOO_NEW, find_provider_mirror, read_version
from console.cli.local import find_stack
from console.contract import Check, Diagnosis
from domain.errors import TerrariumError

#: The provider unpacked, one copy for each run at work, Prefect's database and the logs.
NEEDED_GIB = 3


def examine() -> Diagnosis:
    """Every check, in the order in which a new machine meets them."""
    settings = read_settings()
    findings = [_guard(check, settings) for check in CHECKS]
    findings += _check_stack(settings)
    return Diagnosis(ok=all(check.ok for check in findings), findings=findings)


def _guard(check: Callable[[Settings], Check], settings: Settings) -> Check:
    """A check, or the error that it met: those know their own way out."""
    try:
        return check(settings)
    except TerrariumError as error:
        summary = check.__name__.removeprefix("_check_").replace("_", " ")
        return Check(summary=summary, ok=False, detail=error.summary, resolution=error.resolution)


def _check_terraform(settings: Settings) -> Check:
    """The one that would run; where there is none, `make up` fetches it once."""
    path = settings.terraform_path or shutil.which("terraform")
    if path is None:
        detail = f"none on PATH: version {settings.terraform_version} is fetched once, into your cache"
        return Check(summary="terraform", ok=True, detail=detail)
    version = read_version(Path(path))
    said = ".".join(map(str, version)) if version else "no version"
    is_usable = version is not None and OLDEST <= version < TOO_NEW
    if not is_usable and settings.terraform_path is None:
        detail = f"{path} is {said}: {settings.terraform_version} is fetched once instead, into your cache"
        return Check(summary="terraform", ok=True, detail=detail)
    return Check(
        summary="terraform",
        ok=is_usable,
        detail=f"{path}, {said}",
        resolution="Name one of 1.11 or newer, below 2.0, in TERRARIUM_TERRAFORM_PATH, or leave that unset.",
    )


def _check_provider(settings: Settings) -> Check:
    mirror = find_provider_mirror(settings.provider_mirror)
    detail = f"mirror {mirror}" if mirror else "no mirror on this machine: Terraform's registry is asked"
    return Check(summary="AWS provider", ok=True, detail=detail)


def _check_postgresql(settings: Settings) -> Check:
    return Check(summary="PostgreSQL", ok=True, detail=str(find_postgres_binaries(settings.postgres_bin_dir)))


def _check_vault(settings: Settings) -> Check:
    """Everything else works without one; references into Vault are then not looked up on the emulator."""
    program = find_openbao(settings.vault_path)
    missing = f"no OpenBao: `make up` goes without a Vault. To have one: `{BUILD_COMMAND}` (Go, 2 minutes), `make up`"
    return Check(summary="Vault", ok=True, detail=str(program) if program else missing)


def _check_state_folder(settings: Settings) -> Check:
    """It can be written, and nobody else can read the token."""
    folder, token = settings.state_dir, settings.state_dir / "token"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    way = f"Make {folder} yours (`chown -R $USER {folder}`), or choose another folder: TERRARIUM_STATE_DIR."
    if not os.access(existing, os.W_OK):
        return Check(summary="state folder", ok=False, detail=f"{existing} cannot be written", resolution=way)
    if token.exists() and token.stat().st_mode & 0o077:
        way = f"`chmod 600 {token}`; who may have read it, can change your environments: remove it and `make up`."
        return Check(summary="state folder", ok=False, detail=f"others can read {token}", resolution=way)
    return Check(summary="state folder", ok=True, detail=str(folder))


def _check_disk_space(settings: Settings) -> Check:
    existing = next(path for path in (settings.state_dir, *settings.state_dir.parents) if path.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    return Check(
        summary="disk space",
        ok=free_gib >= NEEDED_GIB,
        detail=f"{free_gib:.1f} GiB free at {existing}, {NEEDED_GIB} needed",
        resolution="Free some, or put the state elsewhere: TERRARIUM_STATE_DIR.",
    )


def _check_clock(_: Settings) -> Check:
    """A clock that is behind this checkout's own files is wrong; AWS refuses calls that are 5 minutes off."""
    newest = (CHECKOUT / "pyproject.toml").stat().st_mtime
    return Check(
        summary="clock",
        ok=time.time() >= newest,
        detail=f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC",
        resolution="The clock is behind the files of this checkout: set it, for example with NTP.",
    )


CHECKS = (
    _check_terraform,
    _check_provider,
    _check_postgresql,
    _check_vault,
    _check_state_folder,
    _check_disk_space,
    _check_clock,
)


def _check_stack(settings: Settings) -> Iterator[Check]:
    """Every part of a stack that was started, or the ports of one that was not."""
    stack = find_stack()
    parts = [*read_parts(stack), *read_kept_parts(stack)] if stack else []
    if not any(part.state == "RUNNING" for part in parts):
        yield Check(summary="stack", ok=False, detail="nothing runs", resolution="Run `make up`.")
        yield from (_check_port(settings, name) for name in Settings.model_fields if name.endswith("_port"))
        return
    for part in parts:
        log = settings.state_dir / "logs" / f"{part.name}.log"
        yield Check(
            summary=part.name,
            ok=part.is_healthy,
            detail=part.state if part.is_healthy else f"{part.state}, does not answer as it should",
            resolution=f"Read {log}, then run `make up`, which starts what is not running.",
        )
    healthy = {part.name for part in parts if part.is_healthy}
    if stack and {"emulator", "prefect"} <= healthy and not stack.prefect_has_password:
        yield _check_accounts(stack)


def _check_port(settings: Settings, name: str) -> Check:
    port = getattr(settings, name)
    return Check(
        summary=name.replace("_", " "),
        ok=is_free(settings.host, port),
        detail=f"{settings.host}:{port}",
        resolution=f"Another program has it: end that, or choose another port: TERRARIUM_{name.upper()}.",
    )


def _check_accounts(stack: Stack) -> Check:
    """The emulator forgets everything when it restarts; an account that is bootstrapped has its state bucket."""
    wanted = {"block_types": {"slug": {"any_": ["terrarium-aws-account"]}}}
    with httpx.Client(timeout=10, trust_env=False) as client:
        found = client.post(f"{stack.prefect_url}/api/block_documents/filter", json=wanted).json()
        accounts = {row["name"]: row["data"] for row in found if row["data"]["kind"] == "emulator"}
        answers = {name: client.head(f"{stack.emulator_url}/{it['state_bucket']}") for name, it in accounts.items()}
    lost = sorted(name for name, answer in answers.items() if answer.status_code == httpx.codes.NOT_FOUND)
    missing = f"the emulator was restarted and has forgotten {', '.join(lost)}" if lost else "none is registered"
    return Check(
        summary="emulator's accounts",
        ok=bool(accounts) and not lost,
        detail=missing if lost or not accounts else ", ".join(sorted(accounts)),
        resolution="Run `make up`: it bootstraps them, and makes their environments again.",
    )
