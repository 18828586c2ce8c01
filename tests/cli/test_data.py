"""``apilane data``: exports and imports records, here and over a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.server import CHEAP_PASSWORDS, Server

pytestmark = pytest.mark.better("B-X6")
MANIFEST = {
    "Apilane": 1,
    "Application": {"Name": "Shop", "Token": "6c1c3ff1-9a70-4a01-9b0c-5f6f3f1c6f01"},
    "Entities": [
        {"Name": "Items", "Properties": [{"Name": "Title", "Maximum": 10, "Required": True}, {"Name": "Note"}]}
    ],
}
TOKEN = "6c1c3ff1-9a70-4a01-9b0c-5f6f3f1c6f01"
Run = Callable[..., tuple[int, str, str]]


def _run(*arguments: object, data: str = "", **environment: str) -> tuple[int, str, str]:
    line = [sys.executable, "-m", "apilane", "data", *map(str, arguments)]
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        input=data,
        env={**os.environ, "NO_PROXY": "*", **environment},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the application."""
    with Server(tmp_path_factory.mktemp("server") / "data", settings=CHEAP_PASSWORDS) as running:
        running.apply(MANIFEST)
        yield running


@pytest.fixture(params=["here", "over a server"])
def run(request: pytest.FixtureRequest, server: Server) -> Run:
    """Run ``apilane data`` on the data folder, or with the URL of the server."""
    if request.param == "here":
        return lambda *arguments, data="": _run(*arguments, "--data-dir", server.data_dir, data=data)
    token = server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    return lambda *arguments, data="": _run(*arguments, "--server", server.url, data=data, APILANE_OPERATOR_TOKEN=token)


def test_out_and_in(run: Run, tmp_path: Path) -> None:
    """A file that was exported can be imported; its format follows its name; stdin and stdout are "-"."""
    source = tmp_path / "items.csv"
    source.write_text("Title,Note\na,=1\n")
    assert run("import", TOKEN, "Items", source) == (0, "1 stored, 0 refused\n", "")
    for name in ("out.csv", "out.jsonl"):
        target = tmp_path / name
        assert run("export", TOKEN, "Items", target, "--properties", "Title,Note", "--safe") == (0, "", "")
        last = target.read_text().splitlines()[-1]
        assert last.endswith(",a,'=1") if name == "out.csv" else json.loads(last)["Note"] == "=1"
        code, out, err = run("import", TOKEN, "Items", target, "--safe", "--dry-run")
        assert (code, "would be stored, 0 refused" in out, "ID" in err) == (0, True, True)
        assert sorted(path.name for path in tmp_path.glob("*.part")) == []
    wanted = json.dumps({"Property": "Title", "Operator": "equal", "Value": "from -"})
    assert run("import", TOKEN, "Items", "-", "--format", "jsonl", data='{"Title": "from -"}\n')[0] == 0
    code, out, _ = run("export", TOKEN, "Items", "-", "--filter", wanted, "--properties", "Title")
    assert (code, out.splitlines()[0], {line.partition(",")[2] for line in out.splitlines()[1:]}) == (
        0,
        "ID,Title",
        {"from -"},
    )


def test_refused_lines(run: Run) -> None:
    """Refused lines are printed with their reason, and the exit code is 1; --from-line begins later."""
    text = "Title\nfine\nfar too long\n\nlast\n"
    code, out, err = run("import", TOKEN, "Items", "-", "--dry-run", data=text)
    assert (code, out) == (1, "2 would be stored, 1 refused\n")
    assert err == "line 3: Maximum 10 characters (Title)\n"
    assert run("import", TOKEN, "Items", "-", "--dry-run", "--from-line", "4", data=text)[:2] == (
        0,
        "1 would be stored, 0 refused\n",
    )


def test_mistakes(run: Run, tmp_path: Path) -> None:
    """A mistake is one line on stderr, and an export that fails leaves no file and does not touch an old one."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    for arguments, says in (
        (("export", TOKEN, "Nothing", target), "Entity Nothing does not exist"),
        (("export", TOKEN, "Items", target, "--filter", '{"Property": "X"}'), "filter"),
        (("import", TOKEN, "Items", tmp_path / "missing.csv"), "cannot be read"),
        (("import", TOKEN, "Items", "-"), "EMPTY_BODY"),
        (("import", TOKEN, "Users", "-"), "Account/Register creates users"),
    ):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        assert says in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_text() == "old"


def test_the_token_comes_from_the_environment(server: Server) -> None:
    """Without an owner token --server says what to set; a wrong one is refused by the server."""
    assert "set APILANE_OPERATOR_TOKEN" in _run("export", TOKEN, "Items", "-", "--server", server.url)[2]
    refused = _run("export", TOKEN, "Items", "-", "--server", server.url, APILANE_OPERATOR_TOKEN=TOKEN)
    assert refused[0] == 1
    assert "UNAUTHORIZED" in refused[2]
