"""The API browser: its assets, and the page in a real browser."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from apilane.testing.client import Client
from tests.browser import PICTURES, in_chromium, needs_chromium

ASSETS = Path("plugins/apilane_api_docs/assets")


def opened(browser: Browser, client: Client, complaints: list[str], **context: Any) -> Page:
    """A window that notes every message of the browser, and every request to another server."""
    page = browser.new_context(**context).new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def note(request: Any) -> None:
        if not request.url.startswith((client.url, "data:")):
            complaints.append(f"a request to {request.url}")

    page.on("request", note)
    return page


def test_the_assets_are_those_of_the_package(repository: Path) -> None:
    """The files of Swagger UI have the hashes of their list, and the licences are beside them."""
    folder = repository / ASSETS
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    for line in lines:
        wanted, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == wanted, name
    names = {line.split()[1] for line in lines}
    assert {"swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui.LICENSE", "swagger-ui.NOTICE"} <= names
    assert "Apache License" in (folder / "swagger-ui.LICENSE").read_text(encoding="utf-8")


def test_the_wheel_has_the_assets(repository: Path, tmp_path: Path) -> None:
    """Every asset of the browser is in the wheel, and the part of TypeScript clients that is the same for all."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"apilane_api_docs/assets/{path.name}" for path in (repository / ASSETS).iterdir()} <= names
    assert "apilane/cli/typed/client.ts" in names


@pytest.mark.parametrize("path", ["/docs", "/swagger/index.html", "/swagger"])
def test_the_page_is_safe(atlas: Client, path: str) -> None:
    """The page has a strict policy, no script or style of its own, and only addresses of this server."""
    answer = atlas.http.get(f"{atlas.url}{path}?appToken={atlas.token}")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|https?://", answer.text)
    assert atlas.token not in answer.text
    for source in re.findall(r'(?:src|href)="(/[^"]*)"', answer.text):
        found = atlas.http.get(f"{atlas.url}{source}")
        assert found.status_code == 200
        assert found.headers["x-content-type-options"] == "nosniff"


def test_assets_are_sent_once(atlas: Client) -> None:
    """Assets are compressed where the client takes it, and 304 saves them the next time."""
    url = f"{atlas.url}/docs/assets/swagger-ui-bundle.js"
    packed = atlas.http.get(url)
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 600_000
    plain = atlas.http.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content
    again = atlas.http.get(url, headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["README.md", "index.html", "SHA256SUMS", "..%2fpages.py", "../pages.py", "%00"])
def test_no_other_file_is_served(atlas: Client, name: str) -> None:
    """Only the listed assets are served."""
    assert atlas.http.get(f"{atlas.url}/docs/assets/{name}").status_code == 404


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_calls_are_shown_and_tried(atlas: Client, width: int, scheme: str) -> None:
    """The page shows the calls of the application in the address and makes one, offline and without complaints."""

    def work(browser: Browser) -> None:
        complaints: list[str] = []
        size = {"width": width, "height": 900}
        page = opened(browser, atlas, complaints, viewport=size, color_scheme=scheme)
        page.goto(f"{atlas.url}/swagger/index.html?appToken={atlas.token}&appName=Atlas")
        page.wait_for_selector(".opblock")
        assert page.title() == "Atlas - API browser"
        assert page.locator(".opblock-summary-path", has_text="/api/Data/Post").count() == 0
        page.click(".opblock-summary >> nth=0")
        page.click(".try-out__btn")
        assert page.locator("input[type=file]").count() == 0
        page.click(".execute")
        page.wait_for_selector(".live-responses-table .response-col_status >> text=200")
        dark = page.evaluate("document.documentElement.classList.contains('dark-mode')")
        assert dark == (scheme == "dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"docs-{scheme}-{width}.png")
        assert not complaints, complaints

    in_chromium(work)


@needs_chromium
def test_the_token_of_a_caller_stays_in_the_page(atlas: Client) -> None:
    """With the token of a user the page shows that user's calls; the token is in no address and in no storage."""
    user = atlas.signed_in("browser")

    def work(browser: Browser) -> None:
        complaints: list[str] = []
        page = opened(browser, atlas, complaints)
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(f"{atlas.url}/docs")
        page.fill("#app", atlas.token)
        page.fill("#user", user.user or "")
        page.click("button[type=submit]")
        page.locator(".opblock-summary-path", has_text="/api/Data/Transaction").first.wait_for()
        stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert user.user not in stored + "".join(addresses)
        assert not complaints, complaints

    in_chromium(work)


@needs_chromium
def test_hostile_texts_run_nothing(server: Any, atlas_manifest: dict[str, Any], http: Any) -> None:
    """Mark-up and scripts in names and descriptions of an application are shown as text or left out."""
    evil = "<img src=x onerror=\"document.title='bad'\"><script>document.title='bad'</script>[x](javascript:alert(1))"
    manifest = {
        **atlas_manifest,
        "Application": {"Name": evil[:90]},
        "Entities": [{"Name": "Evils", "Description": evil, "Properties": [{"Name": "Text", "Description": evil}]}],
        "Security": [
            {"Entity": "Evils", "Action": each, "Role": "ANONYMOUS", "Properties": "*"} for each in ("get", "post")
        ],
    }
    client = Client(http, server.url, server.apply(manifest))

    def work(browser: Browser) -> None:
        complaints: list[str] = []
        page = opened(browser, client, complaints)
        page.goto(
            f"{client.url}/docs?appToken={client.token}&appName=%3Cscript%3Edocument.title=%27bad%27%3C/script%3E"
        )
        for place in range(2):
            page.click(f".opblock-summary >> nth={place}")
        page.click(".models-control")
        page.wait_for_load_state("networkidle")
        assert page.title() == f"{evil[:90]} - API browser"
        assert page.evaluate("document.querySelectorAll('a[href^=\"javascript:\"]').length") == 0

    in_chromium(work)
