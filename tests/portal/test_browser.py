"""The Portal in a real browser: from the first start to the sign-out, and the rights of a viewer."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.browser import PICTURES, in_chromium, needs_chromium
from tests.portal.conftest import Portal

pytestmark = needs_chromium

PASSWORD = "a long password"
HOSTILE = "<script>alert(1)</script>"


def context_of(browser: Browser, *, script: bool = True) -> BrowserContext:
    """A window that fails the test when a page breaks its own security policy."""
    size = ViewportSize(width=1280, height=800)
    context = browser.new_context(viewport=size, java_script_enabled=script)
    context.set_default_timeout(20_000)
    return context


def watched(context: BrowserContext, complaints: list[str]) -> Page:
    """A page whose complaints on the console, other than refused forms, are kept."""
    page = context.new_page()
    page.on(
        "console",
        lambda message: None if "server responded with a status" in message.text else complaints.append(message.text),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def apply_plan(page: Page, *expected: str) -> None:
    """Read the plan of a change, and apply it."""
    page.wait_for_selector("ul.plan")
    plan = page.inner_text("ul.plan")
    for text in expected:
        assert text in plan, plan
    page.click("button:has-text('Apply')")


def sign_in(page: Page, portal: Portal, email: str) -> None:
    """Sign in and arrive at the start page."""
    page.goto(f"{portal.url}/sign-in")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_selector("h1:has-text('Applications')")


def first_start(page: Page, portal: Portal) -> None:
    """The printed link fills in its code; two different passwords are refused at first."""
    page.goto(portal.link)
    assert "#" not in page.url
    page.fill("#email", "boss@example.com")
    page.fill("#password", PASSWORD)
    page.fill("#again", "another password")
    page.click("main button")
    assert "not equal" in page.inner_text("[role=alert]")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.wait_for_selector("h1:has-text('Applications')")


def build(page: Page) -> None:
    """An application, an entity with a property, and a rule, each after its plan."""
    page.click("text=New application >> nth=0")
    page.fill("#name", "Bookshop")
    page.click("main button.primary")
    page.wait_for_selector("h1:has-text('Model')")
    page.fill("#new-name", "Books")
    page.check("input[name=tracking]")
    page.click("button:has-text('Review the change') >> nth=0")
    apply_plan(page, "+ Entities[Books]")
    page.click("summary:has-text('New property of Books')")
    page.fill("#Books-n", "Title")
    page.fill("#Books-max", "50")
    page.click("details[open] button:has-text('Review the change')")
    apply_plan(page, "Entities[Books].Properties[Title]")
    page.click("nav >> text=Security")
    page.click("tr:has-text('Books') a >> nth=0")
    page.check("input[name='on.get']")
    page.click("details:has(input[name='properties.get']) summary")
    page.check("input[name='properties.get'][value=Title]")
    page.click("button:has-text('Review the changes')")
    apply_plan(page, "Security[Books ANONYMOUS get]")
    page.fill("#as", "ANONYMOUS")
    page.click("button:has-text('Show')")
    seen = page.inner_text("section.panel")
    assert "read: all records; ID, Title" in seen
    assert "because of ANONYMOUS: all records; Title" in seen


def fill(page: Page) -> None:
    """A record is created, refused with its mistake, changed and found; its history shows the change."""
    page.click("nav >> text=Books")
    page.click("main >> text=New record >> nth=0") if page.locator("main >> text=New record").count() else page.click(
        "header >> text=New record"
    )
    page.fill("#f-Title", "x" * 60)
    page.click("button:has-text('Save')")
    assert page.inner_text(".panel [role=alert]")
    assert page.input_value("#f-Title") == "x" * 60
    page.fill("#f-Title", HOSTILE)
    page.click("button:has-text('Save')")
    page.wait_for_selector(f"h2:has-text('{HOSTILE[:8]}')")
    page.fill("#f-Title", "=1+1")
    page.click("button:has-text('Save')")
    page.wait_for_selector("h3:has-text('History')")
    assert HOSTILE in page.inner_text("ul.changes").replace("\\u003c", "<").replace("\\u003e", ">")
    page.fill("[name='f.Title']", "1+1")
    page.keyboard.press("Enter")
    page.wait_for_selector("a.chip.on:has-text('Title 1+1')")
    assert page.locator("tbody tr").count() == 1
    exported = page.evaluate("async () => (await fetch(location.pathname + '/export/csv')).text()")
    assert "'=1+1" in exported


def share(page: Page, portal: Portal) -> str:
    """A collaborator with the role viewer; the code of the link for the account."""
    page.click("nav >> text=Collaborators")
    page.fill("#email", "viewer@example.com")
    page.select_option("#role", "viewer")
    page.click("button:has-text('Review the change')")
    apply_plan(page, "+ Collaborators[viewer@example.com]: viewer")
    page.goto(f"{portal.url}/instance")
    page.fill("#email", "viewer@example.com")
    page.click("button:has-text('Make a one-time link')")
    return page.inner_text("[role=status] code")


def test_from_first_start_to_sign_out(portal: Portal) -> None:
    """First start, application, entity, rule, data, collaborator, sign-out; then a viewer reads and changes nothing."""
    complaints: list[str] = []

    def work(browser: Browser) -> None:
        page = watched(context_of(browser), complaints)
        first_start(page, portal)
        build(page)
        fill(page)
        link = share(page, portal)
        page.click("button:has-text('Sign out')")
        page.wait_for_selector("h1:has-text('Sign in')")
        page.goto(f"{portal.url}/instance")
        assert "/sign-in?next=" in page.url
        viewer(watched(context_of(browser), complaints), portal, link)

    in_chromium(work)
    assert complaints == []


def viewer(page: Page, portal: Portal, link: str) -> None:
    """A viewer sees records and rules, no button to change them, and is refused by address."""
    page.goto(portal.url + link)
    page.fill("#email", "viewer@example.com")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.click("text=Bookshop")
    base = page.url.removesuffix("/model")
    assert page.locator("text=Review").count() == 0
    page.click("nav >> text=Books")
    assert page.locator("text=New record").count() == 0
    assert page.locator("tbody tr").count() == 1
    for path in (f"{base}/audit", f"{portal.url}/instance", f"{portal.url}/instance/audit"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 403
    page.goto(f"{base}/data/Books")
    csrf = page.locator("input[name=csrf]").first.input_value()
    for path, form in (("model", "change=add-entity&name=Evil"), ("data/Books/save", "ID=&Title=Evil")):
        status = page.evaluate(
            "async ([path, body]) => (await fetch(path, {method: 'POST', body, headers: "
            "{'content-type': 'application/x-www-form-urlencoded'}})).status",
            [f"{base}/{path}", f"csrf={csrf}&{form}"],
        )
        assert status in {400, 403}
    page.goto(f"{base}/data/Books")
    assert page.locator("tbody tr").count() == 1


def test_reading_without_javascript(portal: Portal) -> None:
    """Every page reads without JavaScript, and a foreign address after the sign-in is ignored."""

    def work(browser: Browser) -> None:
        page = context_of(browser, script=False).new_page()
        page.goto(f"{portal.url}/sign-in?next=//evil.example/")
        page.fill("#email", "boss@example.com")
        page.fill("#password", PASSWORD)
        page.click("main button")
        assert page.url == f"{portal.url}/"
        page.click("text=Bookshop")
        for name in ("Books", "Model", "Security", "Endpoints", "Collaborators", "Audit", "Settings"):
            page.click(f"nav >> text={name} >> nth=0")
            page.wait_for_selector(f"h1:has-text('{name}')")
            if PICTURES:
                page.screenshot(path=Path(PICTURES) / f"portal-{name}.png")

    in_chromium(work)


@pytest.mark.better("B-P12")
def test_no_secret_in_a_page(portal: Portal) -> None:
    """The session's secret is in no page, and scripts cannot read the cookie."""

    def work(browser: Browser) -> None:
        context = context_of(browser)
        page = context.new_page()
        sign_in(page, portal, "boss@example.com")
        (cookie,) = [each for each in context.cookies() if each["name"] == "apilane_portal"]
        assert cookie["httpOnly"]
        assert cookie["value"] not in page.content()
        assert page.evaluate("document.cookie") == ""

    in_chromium(work)
