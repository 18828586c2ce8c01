"""Browsers may call from any origin (docs/reference/protocol/wire-api.md section 1.3)."""

from __future__ import annotations

import pytest

from apilane.testing.client import Client

ORIGIN = {"Origin": "https://app.example.com"}
PATHS = ["/api/Data/Get", "/api/data/POST/", "/api/Account/Login", "/api/Nope/Nope", "/health/liveness", "/Version"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_preflight(lab: Client, path: str, method: str) -> None:
    """A preflight needs no token and allows any origin, method and header; Authorization is listed by name."""
    asked = "authorization,content-type,x-application-token,x-anything"
    headers = {**ORIGIN, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked}
    response = lab.http.request("OPTIONS", lab.url + path, headers=headers)
    assert response.status_code in (200, 204)
    answer = response.headers
    assert answer["access-control-allow-origin"] == "*"
    assert method in answer["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer["access-control-allow-headers"].split(",")}
    assert set(asked.split(",")) <= allowed  # "*" does not cover Authorization
    assert "access-control-allow-credentials" not in answer


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/Data/Get?entity=Values", 200),
        ("/api/Data/Get?entity=Nope", 400),
        ("/api/Data/Get?entity=Locked", 401),
        ("/api/Nope", 404),
        ("/api/Data/Post", 405),
        ("/health/liveness", 200),
        ("/health/readiness", 200),
        ("/Version", 200),
    ],
)
def test_every_answer_is_readable(lab: Client, path: str, status: int) -> None:
    """Errors and service endpoints are readable from any origin too, without credentials."""
    response = lab.send("GET", path, headers=ORIGIN)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.better("B-A5")
def test_renewal_header_is_exposed(lab: Client) -> None:
    """Scripts may read the response header with the ID of a renewed token (B-A5)."""
    response = lab.get("Data/Get", entity="Values")
    assert "x-auth-token-id" in response.headers["access-control-expose-headers"].lower()
