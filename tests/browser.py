"""A real browser for the tests of pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, sync_playwright

__all__ = ["PICTURES", "in_chromium", "needs_chromium"]

CHROMIUM = shutil.which("chromium") or ""
PICTURES = os.environ.get("APILANE_TEST_PICTURES")
"""A folder for pictures of the pages, for people who look at them."""

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def in_chromium(work: Callable[[Browser], None]) -> None:
    """Run ``work`` with a browser, in a thread: the event loop of Playwright would stop ``asyncio.run`` of fixtures."""

    def run() -> None:
        with sync_playwright() as playwright:
            arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            try:
                work(browser)
            finally:
                browser.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()
