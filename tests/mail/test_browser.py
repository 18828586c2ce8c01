"""The pages in a real browser, without JavaScript: widths, colours, labels, the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from apilane.testing.client import Client
from tests.browser import PICTURES, in_chromium, needs_chromium
from tests.mail.post_office import PostOffice, links

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 768, 1280)
NEW = "a long new password"

pytestmark = needs_chromium


def opened(browser: Browser, width: int, scheme: str) -> tuple[Page, list[str]]:
    """A window without JavaScript, and what the browser complains about."""
    size = ViewportSize(width=width, height=800)
    colours = next(each for each in SCHEMES if each == scheme)
    page = browser.new_context(viewport=size, java_script_enabled=False, color_scheme=colours).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed"))
    return page, complaints


def picture(page: Page, name: str) -> None:
    """Keep a picture if a folder for pictures is set."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def fits(page: Page, width: int) -> None:
    """The page is not wider than the window, and every control is large enough for a finger."""
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    for control in page.locator("input:not([type=hidden]), button").all():
        size = control.bounding_box()
        assert size is not None
        assert size["height"] >= 44
        assert size["x"] + size["width"] <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forgotten_password(width: int, scheme: str, shop: Client, office: PostOffice) -> None:
    """A user asks for a mail, makes mistakes, and chooses a new password, at each width, light and dark."""
    in_chromium(lambda browser: forgotten_password(browser, width, scheme, shop, office))
    assert shop.post("Account/Login", {"Username": "anna", "Password": NEW}).status_code == 200


def forgotten_password(browser: Browser, width: int, scheme: str, shop: Client, office: PostOffice) -> None:
    """The whole way in one window."""
    page, complaints = opened(browser, width, scheme)
    name, base = f"{width}-{scheme}", f"{shop.url}/App/{shop.token}/Account/Manage"
    page.goto(f"{base}/ForgotPassword")
    fits(page, width)
    picture(page, f"forgot-{name}")
    page.get_by_label("E-mail address").fill("anna@")
    page.get_by_role("button", name="Send the mail").click()
    assert page.locator("#Email-error").is_visible()
    assert page.locator("#Email:focus").count() == 1
    fits(page, width)
    picture(page, f"forgot-error-{name}")
    page.get_by_label("E-mail address").fill("anna@example.com")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ForgotPasswordConfirmation")
    picture(page, f"sent-{name}")
    page.goto(links(office.wait(2)[1])[0])
    fits(page, width)
    picture(page, f"reset-{name}")
    typed = (("E-mail address", "anna@example.com"), ("New password", "short"), ("New password again", "s"))
    for label, value in typed:
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Set the password").click()
    assert "8 to 100" in page.locator("#Password-error").inner_text()
    fits(page, width)
    picture(page, f"reset-error-{name}")
    for label in ("New password", "New password again"):
        page.get_by_label(label, exact=True).fill(NEW)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ResetPasswordConfirmation")
    picture(page, f"done-{name}")
    page.goto(f"{base}/Error")
    picture(page, f"error-{name}")
    assert [each for each in complaints if "400 (Bad Request)" not in each and "favicon" not in each] == []


def test_colours_can_be_read(shop: Client) -> None:
    """Text and buttons have a contrast of at least 4.5 to 1, light and dark."""
    in_chromium(lambda browser: colours_can_be_read(browser, shop))


def colours_can_be_read(browser: Browser, shop: Client) -> None:
    """Measure the colours of a page."""
    for scheme in SCHEMES:
        page = browser.new_context(color_scheme=scheme).new_page()
        page.goto(f"{shop.url}/App/{shop.token}/Account/Manage/ForgotPassword")
        for text in ("h1", ".application", "label", "input[type=email]", "button"):
            ground = text if text in {"input[type=email]", "button"} else "main"
            colour = page.locator(text).first.evaluate("e => getComputedStyle(e).color")
            behind = page.locator(ground).first.evaluate("e => getComputedStyle(e).backgroundColor")
            assert contrast(colour, behind) >= 4.5, (scheme, text, colour, behind)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours such as ``rgb(1, 2, 3)``, as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
