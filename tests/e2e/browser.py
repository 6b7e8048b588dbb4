"""A real browser on Prefect's pages. What it asks of whom is kept, and it reaches nothing but loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PageTimeoutError

from tests.polling import wait_for

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
PAGE_MILLISECONDS = 30_000
#: V2 does not look for new artifacts by itself.
RELOAD_MILLISECONDS = 5_000
#: Prefect's two UIs, by the path below which each is.
UIS = {"v1": "", "v2": "/v2"}


@dataclass
class Window:
    """One page at Prefect's address. `hosts` are all that the pages sent anything to."""

    page: Page
    url: str
    hosts: set[str] = field(default_factory=set)

    def note(self, url: str) -> None:
        """Keep the host of an address; what a page made itself (`blob:`, `data:`) has none."""
        if host := urlsplit(url).netloc:
            self.hosts.add(host)

    def open(self, path: str, ui: str) -> None:
        """Go to a path of one of the UIs."""
        self.page.goto(f"{self.url}{UIS[ui]}{path}")

    def open_artifact(self, run_id: str, key: str, ui: str) -> None:
        """Go to the page of a run's artifact: both UIs have it under the same path."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}}
        answer = httpx.post(f"{self.url}/api/artifacts/filter", json=wanted, trust_env=False)
        self.open(f"/artifacts/artifact/{answer.raise_for_status().json()[0]['id']}", ui)

    def shows(self, text: str) -> None:
        """Wait until the text stands there for a person to see; TimeoutError where it does not."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def shows_in_time(self, text: str, timeout_seconds: float) -> None:
        """Wait for what comes while a run goes on, as a person who loads the page again now and then."""
        wait_for(f"{text} on {self.page.url}", lambda: self._shows_after_reload(text), timeout_seconds)

    def _shows_after_reload(self, text: str) -> bool:
        try:
            self.page.get_by_text(text).locator("visible=true").first.wait_for(timeout=RELOAD_MILLISECONDS)
        except PageTimeoutError:
            self.page.reload()
            return False
        return True

    def press(self, name: str) -> None:
        """Click what has exactly this text: a link, a button, a tab, an entry of a menu."""
        self.page.get_by_text(name, exact=True).locator("visible=true").last.click()


@contextmanager
def open_window(program: Path, url: str, folder: Path) -> Iterator[Window]:
    """A window of a browser of its own; its last picture stays in `folder`, for a test that fails."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PAGE_MILLISECONDS)
        window = Window(page, url)
        page.on("request", lambda request: window.note(request.url))
        page.on("websocket", lambda socket: window.note(socket.url))
        try:
            yield window
            page.screenshot(path=folder / "window.png", full_page=True)
        finally:
            browser.close()
