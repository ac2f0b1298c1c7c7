"""A page of the browser that is installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

PATIENCE_MS = 30_000


@contextmanager
def browser_page() -> Iterator[Page]:
    """Open a page; without a browser the test is skipped, which CI does not accept."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        assert not os.environ.get("BROWSER_REQUIRED"), "no browser is installed"
        pytest.skip("no browser is installed; `apt-get install chromium` brings one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened = chromium.new_page(viewport={"width": 1400, "height": 900})
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        chromium.close()
