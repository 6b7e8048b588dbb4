"""Finds Terraform and its provider mirror, or fetches Terraform once at the pinned version.

Invariant: nothing downloaded is run unless its sha256 stands in terraform_checksums.json (of HashiCorp's release zips).
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.errors import PermanentError, TemporaryError

RELEASES_URL = "https://releases.hashicorp.com"
OLDEST = (1, 11, 0)  # write-only arguments
TOO_NEW = (2, 0, 0)
PROVIDER = Path("registry.terraform.io/hashicorp/aws")
DOWNLOAD_TIMEOUT_SECONDS = 120.0
_CHECKSUMS = Path(__file__).with_name("terraform_checksums.json")
_INSTALL = "Install Terraform from developer.hashicorp.com/terraform/install, or name one: TERRARIUM_TERRAFORM_PATH."

Version = tuple[int, int, int]


def find_terraform(
    path: Path | None, version: str, *, cache_dir: Path | None = None, releases_url: str = RELEASES_URL
) -> Path:
    """The Terraform to run: the named one, else one on PATH (1.11 or newer, below 2), else `version`, fetched once.

    PermanentError where the named one does not serve, or where no checksum is pinned for this machine;
    TemporaryError where the download fails.
    """
    if path is not None:
        found = read_version(path)
        if not found or not OLDEST <= found < TOO_NEW:
            said = ".".join(map(str, found)) if found else "no version"
            raise PermanentError(
                f"Terraform at {path} answers with {said}; 1.11 or newer and below 2.0 is needed.", _INSTALL
            )
        return path
    on_path = shutil.which("terraform")
    if on_path and OLDEST <= (read_version(Path(on_path)) or (0, 0, 0)) < TOO_NEW:
        return Path(on_path)
    return _fetch_terraform(version, cache_dir or user_cache_dir(), releases_url)


def read_version(path: Path) -> Version | None:
    """The version a Terraform program tells of itself; None where it does not run or says none."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
    }
    try:
        run = subprocess.run(
            [path, "version", "-json"], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
        major, minor, patch = json.loads(run.stdout)["terraform_version"].split("-")[0].split(".")
        return int(major), int(minor), int(patch)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def user_cache_dir() -> Path:
    """Terrarium's folder in the user's cache: the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "terrarium"


def read_platform() -> str:
    """This machine as HashiCorp names it: linux_amd64, darwin_arm64, …"""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def _fetch_terraform(version: str, cache_dir: Path, releases_url: str) -> Path:
    target = cache_dir / f"terraform-{version}-{read_platform()}"
    if target.exists():
        return target
    expected = json.loads(_CHECKSUMS.read_text()).get(version, {}).get(read_platform())
    if expected is None:
        raise PermanentError(
            f"No Terraform on PATH, and no checksum is pinned for {version} on {read_platform()}.", _INSTALL
        )
    url = f"{releases_url}/terraform/{version}/terraform_{version}_{read_platform()}.zip"
    archive = _download(url)
    actual = hashlib.sha256(archive).hexdigest()
    if actual != expected:
        raise PermanentError(
            f"{url} has sha256 {actual}, pinned is {expected}; it was thrown away.",
            f"Something between here and HashiCorp changes downloads. {_INSTALL}",
        )
    _install(archive, target)
    return target


def _download(url: str) -> bytes:
    import httpx

    try:
        return httpx.get(url, follow_redirects=True, timeout=DOWNLOAD_TIMEOUT_SECONDS).raise_for_status().content
    except httpx.HTTPError as error:
        raise TemporaryError(f"No Terraform on PATH, and {url} cannot be fetched: {error!r}.", _INSTALL) from error


def _install(archive: bytes, target: Path) -> None:
    """Written beside its place and renamed, so that two runs at once and a crash leave a whole program or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        partial.write_bytes(bundle.read("terraform"))
    partial.chmod(0o755)
    partial.replace(target)


def find_provider_mirror(path: Path | None, places: Sequence[Path] | None = None) -> Path | None:
    """The folder that holds the AWS provider: the named one, else Terraform's implied mirrors, else where third-party
    software is usually put. None: the registry is asked. PermanentError where the named one lacks the provider.
    """
    if path is not None:
        if (path / PROVIDER).is_dir():
            return path
        raise PermanentError(
            f"Provider mirror {path} has no {PROVIDER}.", "Correct or unset TERRARIUM_PROVIDER_MIRROR."
        )
    candidates = _usual_mirrors() if places is None else iter(places)
    return next((place for place in candidates if (place / PROVIDER).is_dir()), None)


def _usual_mirrors() -> Iterator[Path]:
    """Source: developer.hashicorp.com/terraform/cli/config/config-file, implied local mirrors; then what is usual."""
    data_home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    data_dirs = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    yield Path.home() / ".terraform.d/plugins"
    yield data_home / "terraform/plugins"
    yield from (Path(folder) / "terraform/plugins" for folder in data_dirs)
    for place in ("/opt", "/usr/local/share", "/usr/local/lib", "/usr/share", "/usr/lib", "/srv"):
        yield from sorted(match.parents[2] for match in Path(place).glob(f"*/{PROVIDER}"))


def write_cli_config(path: Path, mirror: Path | None) -> None:
    """Terraform's CLI configuration. With a bare `direct` beside the mirror it would ask the registry as well."""
    if mirror is None:
        source = "  direct {}\n"
    else:
        source = (
            f"  filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}\n"
            '  direct {\n    exclude = ["registry.terraform.io/hashicorp/aws"]\n  }\n'
        )
    path.write_text(f"provider_installation {{\n{source}}}\n")
