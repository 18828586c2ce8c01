"""The program of ``make demo``: apply the manifest, start the server, store data, print example calls.

It runs until Ctrl-C. It can be interrupted at any point; the next run continues there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from seed import ACCOUNTS, Account, count, fill_atlas, fill_private, find_id, log_in, open_accounts

from apilane.client import Client

HOST = "127.0.0.1"  # loopback only: the passwords of the demo are public
MANIFEST = Path(__file__).with_name("atlas.yaml")
APPLICATION: str = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["Application"]["Token"]
READY = "Apilane API: "
PORTAL_READY = "Apilane Portal: "
ADMIN = ("admin@example.com", "portal of the atlas")  # public, so the demo listens on the loopback address only
STOP_TIMEOUT_S = 15
CITIES_MIN = 400


def main() -> int:
    """Run the demo. Returns the exit status of the first command that failed, 0 after Ctrl-C."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):  # a supervisor, or a closed terminal, ends the demo too
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        return _run(options.data_dir, options.port, options.cities)
    print("\nThe demo has stopped. Its data is kept; `make demo` continues with it.", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Apilane's demo: an atlas with accounts, roles and rules.")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("apilane-data-demo"), help="where the demo keeps its data"
    )
    parser.add_argument("--port", help="port of the API (default: as for apilane serve)")
    parser.add_argument("--cities", type=int, help=f"only the largest, at least {CITIES_MIN} (default: all)")
    options = parser.parse_args()
    if options.cities is not None and options.cities < CITIES_MIN:
        parser.error(
            f"--cities {options.cities}: the demo's favourites and trips lie in the {CITIES_MIN} largest cities"
        )
    return options


def _run(data_dir: Path, port: str | None, limit: int | None) -> int:
    admin = {"APILANE_ADMIN_EMAIL": ADMIN[0], "APILANE_ADMIN_PASSWORD": ADMIN[1]}
    os.environ |= {**admin, **os.environ}
    applied = subprocess.run(_apilane("apply", MANIFEST, "--data-dir", data_dir, "--yes"), check=False)
    if applied.returncode:
        return applied.returncode
    with _server(data_dir, port) as server:
        url, portal = _urls(server)
        if url is None or portal is None:  # the server has printed the reason
            return server.wait()
        with Client(url, APPLICATION, timeout_s=60) as client:
            asyncio.run(open_accounts(client, APPLICATION, data_dir))
            eddy, anna = client.as_user(None), client.as_user(None)
            log_in(eddy, _account("eddy"))
            began = time.monotonic()
            fill_atlas(eddy, limit, lambda stored, wanted: _show_progress(stored, wanted, time.monotonic() - began))
            log_in(anna, _account("anna"))
            fill_private(anna)
            print(_summary(url, portal, data_dir, anna), flush=True)
        return server.wait()


def _apilane(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("apilane")), *map(str, arguments)]


@contextlib.contextmanager
def _server(data_dir: Path, port: str | None) -> Iterator[subprocess.Popen[str]]:
    """``apilane serve`` as a child process that ends with this block."""
    environment = {"APILANE_LOG_LEVEL": "warning", **os.environ}
    command = _apilane("serve", "--host", HOST, "--data-dir", data_dir)
    if port is not None:
        command += ["--port", port]
    # In a new session: the terminal sends it no signals. This process passes on Ctrl-C once.
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()
            server.wait()


def _urls(server: subprocess.Popen[str]) -> tuple[str | None, str | None]:
    """The URLs of the API and of the Portal, when both are ready; None when the server ended."""
    assert server.stdout is not None
    found: dict[str, str] = {}
    for line in server.stdout:
        ready = {name: line.removeprefix(name).strip() for name in (READY, PORTAL_READY) if line.startswith(name)}
        found |= ready
        if not ready:
            print(line, end="", flush=True)
        if len(found) == 2:
            print(f"{READY}{found[READY]}\n{PORTAL_READY}{found[PORTAL_READY]}", flush=True)
            break
    return found.get(READY), found.get(PORTAL_READY)


def _account(name: str) -> Account:
    return next(account for account in ACCOUNTS if account.name == name)


def _show_progress(stored: int, wanted: int, seconds: float) -> None:
    end = "\n" if stored == wanted else ""
    if sys.stdout.isatty():
        print(f"\r  {stored:,} of {wanted:,} cities, {seconds:.0f} s", end=end, flush=True)
    elif end:
        print(f"  {wanted:,} cities stored in {seconds:.0f} s", flush=True)


def _summary(url: str, portal: str, data_dir: Path, anna: Client) -> str:
    accounts = "\n".join(f"    {a.email:16}  {a.password:18} {a.roles or '-':7} {a.may}" for a in ACCOUNTS)
    lines = "\n\n".join(f"  # {title}\n  {line}" for title, line in _curl_lines(url, anna))
    return f"""
Atlas: {count(anna, "Countries"):,} countries and {count(anna, "Cities"):,} cities

    Portal       {portal}
                 {os.environ["APILANE_ADMIN_EMAIL"]}, password: {os.environ["APILANE_ADMIN_PASSWORD"]}
    API          {url}
    Application  {APPLICATION}
    Data         {data_dir}

    Account           Password           Role    May
{accounts}

Try it from another terminal:

{lines}

Ctrl-C stops the demo."""


def _curl_lines(url: str, user: Client) -> list[tuple[str, str]]:
    """Five calls that work as printed, one line each. ``user`` is anna, logged in."""
    application = ["-H", f"x-application-token: {APPLICATION}"]
    assert user.credentials is not None, "anna has logged in"
    as_ann = [*application, "-H", f"Authorization: Bearer {user.credentials.token}"]
    is_json = ["-H", "Content-Type: application/json"]
    europe = '{"Property":"Timezone","Operator":"startswith","Value":"Europe/"}'
    largest = '[{"Property":"Population","Direction":"DESC"}]'
    anna = _account("anna")
    page = ["-d", "entity=Cities", "-d", "pageSize=3", "-d", "properties=Name,Population"]
    page += ["--data-urlencode", f"filter={europe}", "--data-urlencode", f"sort={largest}"]
    greece, london = find_id(user, "Countries", "Greece"), find_id(user, "Cities", "London")
    favourite = f'{{"CityID":{london},"Note":"Bring a coat"}}'
    correction = f'{{"ID":{london},"Name":"Annaville"}}'
    credentials = f'{{"Email":"{anna.email}","Password":"{anna.password}"}}'
    calls = [
        ("The three largest cities of Europe", ["-G", f"{url}/api/Data/Get", *application, *page]),
        (
            "One country",
            [f"{url}/api/Data/GetByID?entity=Countries&id={greece}&properties=Name,Capital,Currency", *application],
        ),
        ("anna logs in", [f"{url}/api/Account/Login", *application, *is_json, "-d", credentials]),
        (
            "anna adds a favourite",
            [f"{url}/api/Data/Post?entity=Favourites", *as_ann, *is_json, "-d", favourite],
        ),
        (
            "anna is not an editor: this is refused",
            ["-X", "PUT", f"{url}/api/Data/Put?entity=Cities", *as_ann, *is_json, "-d", correction],
        ),
    ]
    return [(title, shlex.join(["curl", *arguments])) for title, arguments in calls]


if __name__ == "__main__":
    sys.exit(main())
