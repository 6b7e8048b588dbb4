"""Where Terraform and its provider come from."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from blocks import terraform_binary
from blocks.terraform_binary import (
    PROVIDER,
    find_provider_mirror,
    find_terraform,
    read_platform,
    read_version,
    write_cli_config,
)
from domain.errors import PermanentError, TemporaryError

VERSION = "1.11.4"


def make_program(path: Path, version: str) -> Path:
    """A program that answers `version -json` as Terraform does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps({'terraform_version': version})}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """A release zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.write(make_program(tmp_path / "release" / "terraform", VERSION), "terraform")
        bundle.writestr("LICENSE.txt", "licence")
    return content.getvalue()


@pytest.fixture
def releases(archive: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server of releases with one zip; its checksum is pinned, and PATH has no Terraform."""
    path = f"/terraform/{VERSION}/terraform_{VERSION}_{read_platform()}.zip"

    class Releases(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == path else 404)
            self.end_headers()
            if self.path == path:
                self.wfile.write(archive)

        def log_message(self, *_: object) -> None:
            pass

    pinned = tmp_path / "checksums.json"
    pinned.write_text(json.dumps({VERSION: {read_platform(): hashlib.sha256(archive).hexdigest()}}))
    monkeypatch.setattr(terraform_binary, "_CHECKSUMS", pinned)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Releases)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_named_program_is_taken(tmp_path: Path) -> None:
    """The setting wins."""
    program = make_program(tmp_path / "mine", "1.12.0")
    assert find_terraform(program, VERSION) == program


@pytest.mark.parametrize("version", ["1.10.5", "2.0.0"])
def test_named_program_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    """Too old and too new: both numbers are in the error."""
    with pytest.raises(PermanentError, match=rf"answers with {version}; 1\.11 or newer"):
        find_terraform(make_program(tmp_path / "mine", version), VERSION)


def test_named_program_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It is named, with the way out."""
    with pytest.raises(PermanentError, match="TERRARIUM_TERRAFORM_PATH"):
        find_terraform(tmp_path / "nothing", VERSION)


def test_program_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched where PATH has one that serves."""
    program = make_program(tmp_path / "bin" / "terraform", "1.13.1")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert find_terraform(None, VERSION, cache_dir=tmp_path, releases_url="http://127.0.0.1:9") == program


def test_old_program_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, releases: str) -> None:
    """An old one on PATH is left alone, the pinned one is fetched."""
    program = make_program(tmp_path / "bin" / "terraform", "1.5.7")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    found = find_terraform(None, VERSION, cache_dir=tmp_path / "cache", releases_url=releases)
    assert read_version(found) == (1, 11, 4)


def test_fetched_once_into_the_cache(tmp_path: Path, releases: str) -> None:
    """The second time nothing is asked: the server of that address is gone."""
    cache = tmp_path / "cache"
    found = find_terraform(None, VERSION, cache_dir=cache, releases_url=releases)
    assert read_version(found) == (1, 11, 4)
    assert [file.name for file in cache.iterdir()] == [found.name]
    assert find_terraform(None, VERSION, cache_dir=cache, releases_url="http://127.0.0.1:9") == found


def test_wrong_checksum_installs_nothing(tmp_path: Path, releases: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed download is thrown away, and both sums are told."""
    pinned = tmp_path / "others.json"
    pinned.write_text(json.dumps({VERSION: {read_platform(): "0" * 64}}))
    monkeypatch.setattr(terraform_binary, "_CHECKSUMS", pinned)
    with pytest.raises(PermanentError, match="pinned is 0000"):
        find_terraform(None, VERSION, cache_dir=tmp_path / "cache", releases_url=releases)
    assert not (tmp_path / "cache").exists()


def test_version_without_checksum_is_refused(tmp_path: Path, releases: str) -> None:
    """What is not pinned is not fetched."""
    with pytest.raises(PermanentError, match=r"no checksum is pinned for 1\.99\.0"):
        find_terraform(None, "1.99.0", cache_dir=tmp_path, releases_url=releases)


def test_unreachable_releases_are_temporary(tmp_path: Path, releases: str) -> None:
    """No network: the address and the way out are told."""
    assert releases
    with pytest.raises(TemporaryError, match="cannot be fetched"):
        find_terraform(None, VERSION, cache_dir=tmp_path, releases_url="http://127.0.0.1:9")


def test_pinned_checksums_cover_the_platforms_we_name() -> None:
    """Linux and macOS, both processors, for the version that settings pin."""
    from blocks.settings import Settings

    pinned = json.loads(Path(terraform_binary.__file__).with_name("terraform_checksums.json").read_text())
    version = Settings.model_fields["terraform_version"].default
    assert set(pinned[version]) == {"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"}
    assert all(len(checksum) == 64 for checksum in pinned[version].values())


def test_named_mirror_needs_the_provider(tmp_path: Path) -> None:
    """An empty folder is refused by name."""
    with pytest.raises(PermanentError, match="TERRARIUM_PROVIDER_MIRROR"):
        find_provider_mirror(tmp_path)
    (tmp_path / PROVIDER).mkdir(parents=True)
    assert find_provider_mirror(tmp_path) == tmp_path


def test_implied_mirror_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform's own folder in the user's home comes first."""
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d/plugins"
    (mirror / PROVIDER).mkdir(parents=True)
    assert find_provider_mirror(None) == mirror


def test_first_place_with_the_provider_is_taken(tmp_path: Path) -> None:
    """Places without it are passed over; without any there is no mirror."""
    (tmp_path / "b" / PROVIDER).mkdir(parents=True)
    assert find_provider_mirror(None, [tmp_path / "a", tmp_path / "b"]) == tmp_path / "b"
    assert find_provider_mirror(None, [tmp_path / "a"]) is None


def test_cli_config_keeps_the_registry_out_where_a_mirror_has_the_provider(tmp_path: Path) -> None:
    """A bare `direct` beside the mirror would ask the registry as well."""
    write_cli_config(tmp_path / "rc", tmp_path)
    assert 'exclude = ["registry.terraform.io/hashicorp/aws"]' in (tmp_path / "rc").read_text()
    write_cli_config(tmp_path / "rc", None)
    assert (tmp_path / "rc").read_text() == "provider_installation {\n  direct {}\n}\n"
