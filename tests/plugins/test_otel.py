"""Traces: a real server sends its spans to a receiver of OTLP over HTTP."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings, load_settings
from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server, free_port

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MARK = "m4rked-value"
ARRIVED_WITHIN_S = 30.0
HANDLER = """
from msgspec import Struct
from apilane.plugin import OutboxHandler, RecordEvent, RecordEvents, hookimpl

@hookimpl
def apilane_register_outbox_handlers():
    async def deliver(message, application):
        await application.data.as_system().list("Notes")
    return [OutboxHandler(kind="noted", payload=RecordEvent, deliver=deliver, events=(RecordEvents(),))]
"""
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Traced"},
    "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text", "Type": "String"}]}],
    "Security": [
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": action, "Properties": ["Text"]} for action in ("get", "post")
    ],
}


class Receiver:
    """A collector: takes spans as OTLP over HTTP and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.headers: list[dict[str, str]] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                received = ExportTraceServiceRequest.FromString(body)
                for resource in received.resource_spans:
                    receiver.services |= {a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        receiver.spans.extend(scope.spans)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()

    def wait_for(self, name: str, trace: str | None = None) -> Span:
        """The first span with this name, once it has arrived."""
        deadline = time.monotonic() + ARRIVED_WITHIN_S
        while time.monotonic() < deadline:
            for span in list(self.spans):
                if span.name == name and trace in {None, span.trace_id.hex()}:
                    return span
            time.sleep(0.05)
        raise AssertionError(f"no span {name!r} among {sorted({span.name for span in self.spans})}")


class Traced:
    """A traced server with its collector."""

    def __init__(self, server: Server, receiver: Receiver, client: Client) -> None:
        self.server = server
        self.receiver = receiver
        self.client = client


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, http: httpx.Client) -> Iterator[Traced]:
    """A server with a plugin that handles messages."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "noted.py").write_text(HANDLER)
    receiver = Receiver()
    settings = {
        **CHEAP_PASSWORDS,
        "otel_endpoint": receiver.url,
        "otel_service_name": "traced-service",
        "otel_authorization": "Bearer of-the-collector",
        "plugins_dir": folder / "plugins",
    }
    with Server(folder / "data", settings=settings) as server:
        yield Traced(server, receiver, Client(http, server.url, server.apply(MANIFEST)))
    receiver.close()


def attributes(span: Span) -> dict[str, Any]:
    """The attributes by name."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_joins_the_trace_of_its_caller(traced: Traced) -> None:
    """The span of a request has the caller's trace and parent, its admission and its statements are below it, and the
    answer names the trace."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = traced.client.send("GET", "/api/Data/Get?entity=Notes", b"", headers)
    request = traced.receiver.wait_for("GET /api/Data/Get", TRACE)
    assert request.parent_span_id.hex() == PARENT
    assert answer.headers["traceparent"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    found = attributes(request)
    assert found["apilane.application"] == traced.client.token
    assert (found["http.response.status_code"], found["apilane.caller"]) == (200, "anonymous")
    for name in ("admission", "read SQLite"):
        assert traced.receiver.wait_for(name, TRACE).parent_span_id == request.span_id
    statement = attributes(traced.receiver.wait_for("read SQLite", TRACE))
    assert statement["db.query.text"].startswith("SELECT")
    assert "traced-service" in traced.receiver.services
    assert traced.receiver.headers[0]["authorization"] == "Bearer of-the-collector"
    assert "of-the-collector" not in traced.server.output()


def test_a_delivery_has_a_span(traced: Traced) -> None:
    """A message that is delivered has a span, and the statements of its handler are below it."""
    assert traced.client.post("Data/Post", {"Text": MARK}, entity="Notes").status_code == 200
    delivery = traced.receiver.wait_for("deliver noted")
    assert attributes(delivery)["messaging.destination.name"] == "noted"
    below = traced.receiver.wait_for("read SQLite", delivery.trace_id.hex())
    assert below.parent_span_id == delivery.span_id


def test_an_error_has_its_code(traced: Traced) -> None:
    """The span of a refused call has the error code and no value of the request."""
    trace = TRACE[::-1]
    headers = {"traceparent": f"00-{trace}-{PARENT}-01", "authorization": f"Bearer {MARK}"}
    traced.client.send("GET", f"/api/Data/Get?entity=Missing&filter={MARK}", b"", headers)
    assert attributes(traced.receiver.wait_for("GET /api/Data/Get", trace))["apilane.code"] == "ERROR"
    traced.client.send("GET", f"/api/{MARK}", b"", {"traceparent": f"00-{trace}-{PARENT}-01"})
    traced.receiver.wait_for("GET", trace)
    assert not [span for span in traced.receiver.spans if MARK in str(span)]


@pytest.mark.parametrize(
    "sent",
    ["", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "x" * 5000, f"00-{TRACE}-{PARENT}"],
)
def test_a_hostile_traceparent_begins_a_new_trace(traced: Traced, sent: str) -> None:
    """A malformed header is ignored, and the request is served."""
    answer = traced.client.send("GET", "/api/Data/Get?entity=Notes", b"", {"traceparent": sent})
    assert answer.status_code == 200
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", answer.headers["traceparent"])
    assert TRACE not in answer.headers["traceparent"]


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_collector_that_is_away_delays_no_request(kind: str, tmp_path: Path, http: httpx.Client) -> None:
    """While the collector refuses connections, or takes them and never answers, requests are answered and the server
    stops as usual."""
    with socket.socket() as listening:
        port = free_port()
        if kind == "silent":
            listening.bind(("127.0.0.1", 0))
            listening.listen(16)
            port = listening.getsockname()[1]
        settings = {**CHEAP_PASSWORDS, "otel_endpoint": f"http://127.0.0.1:{port}/v1/traces"}
        with Server(tmp_path / "data", settings=settings) as server:
            client = Client(http, server.url, server.apply(MANIFEST))
            for _ in range(6000):  # more than the queue takes
                assert client.get("Data/Get", entity="Notes").status_code == 200
        assert "Killing" not in server.output()


def test_a_ratio_limits_all_traces(tmp_path: Path, http: httpx.Client) -> None:
    """With the ratio 0 no span is sent, not even for a caller who asks for it."""
    receiver = Receiver()
    try:
        settings = {**CHEAP_PASSWORDS, "otel_endpoint": receiver.url, "otel_sample_ratio": 0}
        with Server(tmp_path / "data", settings=settings) as server:
            client = Client(http, server.url, server.apply(MANIFEST))
            answer = client.send("GET", "/api/Data/Get?entity=Notes", b"", {"traceparent": f"00-{TRACE}-{PARENT}-01"})
            assert answer.headers["traceparent"].endswith("-00")
        assert receiver.spans == []
    finally:
        receiver.close()


def test_without_an_endpoint_nothing_is_observed() -> None:
    """Without the setting there is no observer; a wrong address stops the start with the reason."""
    assert freeze(load_plugins(Settings()), Settings()).observers == ()
    settings = load_settings(environ={"APILANE_OTEL_ENDPOINT": "localhost:4318"})
    with pytest.raises((PluginError, ConfigurationError), match="expected an address such as"):
        freeze(load_plugins(settings), settings)
