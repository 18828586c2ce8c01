"""Metrics: what is counted, over several workers, and what Prometheus reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings
from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server, free_port
from apilane_metrics.exposition import OUTBOX, Exposition
from apilane_metrics.families import FAMILIES
from apilane_metrics.slots import OTHER, Slot, read_slots

TOKEN = "a-token-for-the-tests"
SCRAPED_WITHIN_S = 60.0
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Measured"},
    "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text", "Type": "String"}]}],
    "Security": [
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Text"]},
        {
            "Entity": "Notes",
            "Role": "ANONYMOUS",
            "Action": "post",
            "Properties": ["Text"],
            "RateLimit": {"MaxRequests": 2, "Per": "Hour"},
        },
        {"CustomEndpoint": "Count", "Role": "ANONYMOUS"},
    ],
    "CustomEndpoints": [{"Name": "Count", "Query": "SELECT COUNT(*) AS N FROM Notes"}],
}


class Measured:
    """A server with metrics on a port of its own and behind a token."""

    def __init__(self, server: Server, port: int, http: httpx.Client) -> None:
        self.server = server
        self.address = f"127.0.0.1:{port}"
        self.http = http
        self.token = server.apply(MANIFEST)
        self.client = Client(http, server.url, self.token)

    def values(self) -> dict[str, float]:
        """Every sample as ``name{labels}`` in the order of the labels' names."""
        return samples(self.http.get(f"http://{self.address}/metrics").raise_for_status().text)


def samples(text: str) -> dict[str, float]:
    """Every sample of a scrape."""
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(name: str, **labels: str) -> str:
    """The key of a sample."""
    return name + json.dumps(labels, sort_keys=True)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """Two workers."""
    port = free_port()
    settings = {**CHEAP_PASSWORDS, "metrics_listen": f"127.0.0.1:{port}", "metrics_token": TOKEN}
    limits = httpx.Limits(max_keepalive_connections=0)  # a new connection for each request, so both workers answer
    with (
        Server(tmp_path_factory.mktemp("metrics") / "data", workers=2, settings=settings) as server,
        httpx.Client(trust_env=False, timeout=30, limits=limits) as http,
    ):
        yield Measured(server, port, http)


@pytest.mark.better("B-O1")
def test_counts_are_exact_over_workers(measured: Measured) -> None:
    """Calls that two workers answer are counted once each, in the wire's histogram and in the counter of requests."""
    before = measured.values()
    for _ in range(40):
        assert measured.client.get("Data/Get", entity="notes").status_code == 200
    for _ in range(3):
        assert measured.client.get("Custom/Count").status_code == 200
    after = measured.values()

    def added(key: str) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)

    labels = {"action": "get", "entity": "notes", "apptoken": measured.token}
    assert added(sample("apilane_api_data_duration_count", **labels)) == 40
    assert added(sample("apilane_api_data_duration_bucket", **labels, le="+Inf")) == 40
    assert 0 < added(sample("apilane_api_data_duration_sum", **labels)) < 40 * 5
    custom = sample("apilane_api_data_duration_count", action="custom", entity="count", apptoken=measured.token)
    assert added(custom) == 3
    assert added(sample("apilane_requests_total", call="/api/Data/Get", method="GET", status="200")) == 40
    assert after[sample("apilane_workers")] == 2
    assert after[sample("apilane_connections", provider="SQLite")] >= 1


def test_errors_and_refusals_are_counted(measured: Measured) -> None:
    """Errors are counted by code, and a refusal of a rate limit by application."""
    before = measured.values()
    for _ in range(4):
        measured.client.post("Data/Post", {"Text": "x"}, entity="Notes")
    measured.client.get("Data/Get", entity="Missing")
    measured.http.get(f"{measured.server.url}/api/nothing/here")
    after = measured.values()

    def added(key: str) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)

    refused = sample("apilane_errors_total", call="/api/Data/Post", code="RATE_LIMIT_EXCEEDED")
    assert added(refused) == 2
    assert added(sample("apilane_rate_limit_refusals_total", apptoken=measured.token)) == 2
    assert added(sample("apilane_errors_total", call="/api/Data/Get", code="ERROR")) == 1
    assert added(sample("apilane_requests_total", call="unknown", method="GET", status="404")) == 1


def test_the_api_port_needs_the_token(measured: Measured) -> None:
    """On the port of the API ``/metrics`` is shown only to a caller with the token, and HEAD works as GET does."""
    url = f"{measured.server.url}/metrics"
    assert measured.http.get(url).status_code == 401
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x"):
        answer = measured.http.get(url, headers={"authorization": wrong})
        assert (answer.status_code, b"apilane_" in answer.content) == (401, False)
    right = measured.http.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    assert sample("apilane_workers") in samples(right.text)
    assert measured.http.head(url, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert measured.http.get(f"http://{measured.address}/other").status_code == 404
    assert TOKEN not in measured.server.output()


def test_prometheus_scrapes_it(measured: Measured, tmp_path: Path) -> None:
    """A real Prometheus reads the metrics, and its query gives the number of calls; its checker finds no mistake."""
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if prometheus is None or promtool is None:
        pytest.skip("prometheus is not installed (make tools)")
    for _ in range(5):
        measured.client.get("Data/Get", entity="Notes")
    text = measured.http.get(f"http://{measured.address}/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert b"error" not in checked.stderr.lower(), checked.stderr
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "scrape_configs:\n"
        "- job_name: apilane\n  scrape_interval: 1s\n  static_configs:\n"
        f"  - targets: ['{measured.address}']\n"
    )
    port = free_port()
    command = [
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        query = f'apilane_api_data_duration_count{{action="get",entity="notes",apptoken="{measured.token}"}}'
        found = asked(measured.http, f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}")
        assert float(found[0]["value"][1]) >= 5, (tmp_path / "log").read_text()
    finally:
        running.terminate()
        running.wait(30)


def asked(http: httpx.Client, url: str) -> list[dict[str, Any]]:
    """The result of a query of Prometheus, once there is one."""
    deadline = time.monotonic() + SCRAPED_WITHIN_S
    while time.monotonic() < deadline:
        try:
            result: list[dict[str, Any]] = http.get(url).json()["data"]["result"]
        except (httpx.TransportError, ValueError, KeyError):
            result = []
        if result:
            return result
        time.sleep(0.2)
    raise AssertionError("Prometheus has scraped nothing")


def test_a_scrape_during_a_reload_is_complete(measured: Measured) -> None:
    """While workers are replaced, every scrape succeeds and no counter gets smaller; afterwards there are two."""
    for _ in range(5):
        measured.client.get("Data/Get", entity="Notes")
    key = sample("apilane_requests_total", call="/api/Data/Get", method="GET", status="200")
    seen = [measured.values()[key]]
    process = measured.server._process
    assert process is not None
    os.kill(process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 60
    while "Workers running: 2" not in measured.server.output():
        assert time.monotonic() < deadline, measured.server.output()
        seen.append(measured.values()[key])
    assert seen == sorted(seen)
    while measured.values()[sample("apilane_workers")] != 2:  # the last old worker has just ended
        assert time.monotonic() < deadline
    measured.client.get("Data/Get", entity="Notes")
    assert measured.values()[key] == seen[-1] + 1


def test_a_killed_worker_loses_no_count(measured: Measured) -> None:
    """The numbers of a worker that was killed are still counted, and its successor continues with them."""
    for _ in range(20):
        measured.client.get("Data/Get", entity="Notes")
    key = sample("apilane_requests_total", call="/api/Data/Get", method="GET", status="200")
    before = measured.values()[key]
    process = measured.server._process
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "Replacing a failed worker" not in measured.server.output():
        assert time.monotonic() < deadline, measured.server.output()
        time.sleep(0.05)
    while True:
        try:
            values = measured.values()
        except httpx.TransportError:  # the connection was given to the killed worker
            continue
        if values[sample("apilane_workers")] == 2:
            break
        assert time.monotonic() < deadline
    assert values[key] == before


def test_the_dashboard_asks_for_metrics_that_exist(repository: Path) -> None:
    """Every metric in the dashboard and in the how-to page is one that the plugin has."""
    known = {*OUTBOX}
    for family in FAMILIES.values():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[family.kind]
        known |= {family.name + ending for ending in endings}
    texts = [repository / "docs/examples/grafana-dashboard.json", repository / "docs/howto/observe.md"]
    for text in texts:
        asked_for = set(re.findall(r"(?<![\w/.-])apilane_[a-z_]+", text.read_text(encoding="utf-8")))
        assert asked_for
        assert asked_for <= known
    json.loads(texts[0].read_text(encoding="utf-8"))


# The files of numbers


def test_ten_thousand_label_values_are_bounded(tmp_path: Path) -> None:
    """Beyond ``series_max`` series further label values share one series, and none is lost."""
    slot = Slot(tmp_path / "metrics", 500)
    for number in range(10_000):
        slot.values[slot.place("apilane_rate_limit_refusals", (f"application-{number}",))] += 1.0
    found = [stored for stored in read_slots(tmp_path / "metrics") if stored.family == "apilane_rate_limit_refusals"]
    assert len(found) <= 501
    assert sum(stored.values[0] for stored in found) == 10_000
    (other,) = (stored for stored in found if stored.labels == (OTHER,))
    assert other.values[0] == 9500
    slot.close()


def test_long_labels_fit_into_the_file(tmp_path: Path) -> None:
    """Labels of the greatest length never exceed the file, whatever their letters."""
    slot = Slot(tmp_path / "metrics", 200)
    for number in range(1000):
        labels = ("\u0001" * 500, f"{number}" + "\U0001f600" * 500, "x" * 500)
        slot.values[slot.place("apilane_api_data_duration", labels)] += 1.0
    stored = list(read_slots(tmp_path / "metrics"))
    assert sum(each.values[0] for each in stored) == 1000
    slot.close()


def test_hostile_label_values_are_escaped(tmp_path: Path) -> None:
    """Quotes, line breaks, backslashes and braces in a label stay inside of it."""
    hostile = 'a"b\\c\nd{e="f"} 7\n# TYPE injected counter\ninjected 1'
    slot = Slot(tmp_path / "metrics", 100)
    slot.values[slot.place("apilane_rate_limit_refusals", (hostile,))] += 1.0
    found = samples(Exposition(tmp_path / "metrics").text().decode())
    assert found[sample("apilane_rate_limit_refusals_total", apptoken=hostile)] == 1.0
    assert not [key for key in found if key.startswith("injected")]
    slot.close()


def test_the_first_worker_forgets_the_last_run(tmp_path: Path) -> None:
    """Numbers of an earlier run are deleted once no process holds a file, and kept while one does."""
    folder = tmp_path / "metrics"
    first, second = Slot(folder, 100), Slot(folder, 100)
    for slot in (first, second):
        slot.values[slot.place("apilane_rate_limit_refusals", ("a",))] += 1.0
    first.close()
    third = Slot(folder, 100)
    assert sum(stored.values[0] for stored in read_slots(folder)) == 2.0
    second.close()
    third.close()
    Slot(folder, 100)
    assert not list(read_slots(folder))


# Settings


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"listen": "9464"}, "expected an address and a port"),
        ({"listen": "127.0.0.1:99999"}, "expected an address and a port"),
        ({"token": "short"}, "shorter than 16 characters"),
    ],
)
def test_bad_settings_stop_the_start(section: dict[str, str], expected: str) -> None:
    """An unusable address and a short token are refused with the reason, which does not show the token."""
    environ = {f"APILANE_METRICS_{name.upper()}": value for name, value in section.items()}
    from apilane.settings import load_settings

    settings = load_settings(environ=environ)
    with pytest.raises((PluginError, ConfigurationError), match=re.escape(expected)) as caught:
        freeze(load_plugins(settings), settings)
    assert "short'" not in str(caught.value)


def test_without_settings_nothing_is_observed() -> None:
    """A server without ``listen`` and ``token`` has no observer and no page."""
    hooks = freeze(load_plugins(Settings()), Settings())
    assert hooks.observers == ()
    assert not [page for page in hooks.routes if "/metrics" in page.handler.paths]


def test_hook_apilane_register_observers(write_plugin: Callable[..., Settings]) -> None:
    """An observer is registered with its functions, and one with a function of the wrong kind stops the start."""
    body = """
        from apilane.plugin import Observer

        @hookimpl
        def apilane_register_observers():
            async def ended(seen):
                pass
            return [Observer(request_ended=ended)]
        """
    settings = write_plugin("watch", body, plugins=("watch",))
    with pytest.raises(PluginError, match="request_ended of the wrong kind"):
        freeze(load_plugins(settings), settings)
    fine = write_plugin("watch", body.replace("async def", "def"), plugins=("watch",))
    (observer,) = freeze(load_plugins(fine), fine).observers
    assert observer.request_ended is not None
    assert observer.statement is None
