"""Pages of a plugin in the Portal."""

from __future__ import annotations

from pathlib import Path

from litestar.testing import TestClient

from apilane.manage.app import create_app
from apilane.settings import Settings

PLUGIN = """
from litestar import get
from apilane.plugin import hookimpl
from apilane.plugin.manage import ManagementPage, MenuEntry, PortalPage

@get("/weather")
async def weather(management: ManagementPage) -> str:
    return f"{management.operator.email}: sunny"

@get("/public")
async def public() -> str:
    return "public"

@hookimpl
def apilane_register_portal_pages():
    entry = MenuEntry("Weather", "/apps/{token}/weather", "Operate")
    return [PortalPage(weather, entry=entry), PortalPage(public, signed_in=False)]
"""


def test_hook_apilane_register_portal_pages(tmp_path: Path) -> None:
    """A page of a plugin answers signed-in users only, unless it says otherwise; its handler acts for the user."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "weather.py").write_text(PLUGIN)
    settings = Settings(
        data_dir=tmp_path / "data",
        plugins_dir=tmp_path / "plugins",
        admin_email="admin@example.com",
        admin_password="a long password",
        argon2_memory_kib=8,
        argon2_time_cost=1,
    )
    with TestClient(create_app(settings)) as client:
        assert client.get("/public").text == "public"
        answer = client.get("/weather", follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=/weather"
        body = {"Email": "admin@example.com", "Password": "a long password"}
        assert client.post("/api/manage/v1/session", json=body).status_code == 200
        assert client.get("/weather").text == "admin@example.com: sunny"
