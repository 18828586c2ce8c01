"""Every page: accessible to axe-core, and not wider than the window, at two widths, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from tests.browser import in_chromium, needs_chromium
from tests.portal.conftest import Portal

pytestmark = needs_chromium

PASSWORD = "a long password"
MANIFEST = {
    "Apilane": 1,
    "Application": {"Name": "Museum"},
    "Entities": [
        {"Name": "Rooms", "Properties": [{"Name": "Title", "Type": "String", "Maximum": 50}]},
        {
            "Name": "Items",
            "ChangeTracking": True,
            "Properties": [
                {"Name": "Title", "Type": "String", "Maximum": 50},
                {"Name": "RoomID", "Type": "Number", "DecimalPlaces": 0},
                {"Name": "Shown", "Type": "Boolean"},
                {"Name": "Found", "Type": "Date"},
            ],
            "Constraints": [{"Type": "ForeignKey", "Property": "RoomID", "Entity": "Rooms"}],
        },
    ],
    "Security": [{"Entity": "Items", "Role": "guide", "Action": "get", "Record": "Owned", "Properties": ["Title"]}],
    "CustomEndpoints": [{"Name": "Titles", "Query": "SELECT Title FROM Items"}],
    "Collaborators": [{"Email": "guide@example.com", "Role": "viewer"}],
}


def prepare(page: Page, portal: Portal) -> list[str]:
    """Set the admin's password, create an application with records; the paths of all pages."""
    page.goto(portal.link)
    page.fill("#email", "boss@example.com")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.wait_for_selector("h1:has-text('Applications')")
    csrf = page.locator("input[name=csrf]").first.input_value()
    token: str = page.evaluate(
        """async ([csrf, manifest]) => {
          const body = JSON.stringify({Files: [{Name: "m.json", Content: JSON.stringify(manifest)}]});
          const headers = {"content-type": "application/json", "x-csrf-token": csrf};
          const answer = await fetch("/api/manage/v1/manifests", {method: "POST", body, headers});
          return (await answer.json())[0].Token;
        }""",
        [csrf, MANIFEST],
    )
    base = f"/apps/{token}"
    for path, values in (
        (f"{base}/data/Rooms", {"Title": "Hall"}),
        (f"{base}/data/Items", {"Title": "Vase", "RoomID": "1"}),
    ):
        page.goto(f"{portal.url}{path}/new")
        for name, value in values.items():
            page.fill(f"#f-{name}", value)
        page.click("button:has-text('Save')")
        page.wait_for_selector("text=Close")
    inside = ["data/Items", "data/Items/1", "data/Items/new", "data/Files", "data/Items?f.RoomID=none", "model"]
    inside += ["security", "security?item=Entity:Items&role=guide", "security?as=guide", "endpoints?name=Titles"]
    inside += ["collaborators", "audit", "settings"]
    return [*(f"{base}/{path}" for path in inside), "/", "/apps/new", "/instance", "/instance/audit", "/account"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(portal: Portal, scheme: str) -> None:
    """axe-core finds no violation, and no page scrolls sideways."""
    found: list[str] = []

    def work(browser: Browser) -> None:
        axe, paths, state = Axe(), ["/sign-in", "/start"], None
        for width in (1280, 390):
            context = browser.new_context(
                viewport=ViewportSize(width=width, height=800),
                color_scheme="dark" if scheme == "dark" else "light",
                bypass_csp=True,  # axe is evaluated in the page
                storage_state=state,
            )
            page = context.new_page()
            if state is None:
                for path in paths:
                    found.extend(look(axe, page, portal, path, width))
                paths = prepare(page, portal) if scheme == "light" else again(page, portal)
                state = context.storage_state()
            for path in paths:
                found.extend(look(axe, page, portal, path, width))
            context.close()

    in_chromium(work)
    assert found == []


def again(page: Page, portal: Portal) -> list[str]:
    """Sign in to the prepared instance; the paths of the pages of its navigation."""
    page.goto(f"{portal.url}/sign-in")
    page.fill("#email", "boss@example.com")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.click("text=Museum")
    page.wait_for_selector("h1:has-text('Model')")
    base = page.url.removeprefix(portal.url).removesuffix("/model")
    inside = ["data/Items", "data/Items/1", "model", "security", "security?item=Entity:Items&role=guide"]
    inside += ["security?as=guide", "endpoints", "collaborators", "audit", "settings"]
    return [*(f"{base}/{path}" for path in inside), "/", "/instance"]


def look(axe: Axe, page: Page, portal: Portal, path: str, width: int) -> list[str]:
    """What is wrong with a page."""
    page.goto(portal.url + path)
    violations = axe.run(page).response["violations"]
    problems = [f"{path} at {width}: {each['id']}: {each['nodes'][0]['html'][:150]}" for each in violations]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        problems.append(f"{path} at {width}: wider than the window")
    return problems
