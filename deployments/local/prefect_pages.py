"""Prefect's pages may talk to Prefect and to nobody else: their V2 asks an analytics service for its configuration at
every load, even where analytics are off. A content security policy in the pages stops that in the browser.
"""

from pathlib import Path

from blocks.settings import Settings
from deployments.local.layout import Layout

HEAD = "<head>"


def restrict_pages(settings: Settings) -> None:
    """Write the policy into the first page of each of Prefect's UIs, where it is not there yet."""
    for page in Layout(settings.state_dir).prefect_pages.glob("*/index.html"):
        add_policy(page, settings.prefect_url)


def add_policy(page: Path, prefect_url: str) -> None:
    """Write the policy into a page, where it is not there yet.

    Both UIs need inline scripts; `localhost` is another origin than the address that they call.
    """
    sources = f"'self' 'unsafe-inline' 'unsafe-eval' data: blob: {prefect_url} {prefect_url.replace('http', 'ws', 1)}"
    tag = f'<meta http-equiv="Content-Security-Policy" content="default-src {sources}">'
    text = page.read_text(encoding="utf-8")
    if tag not in text:
        page.write_text(text.replace(HEAD, HEAD + tag, 1), encoding="utf-8")
