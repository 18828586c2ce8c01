"""A small HTTP server for ``/metrics`` on a port of its own, in threads beside the event loop.

Every worker listens (SO_REUSEPORT), and any of them can answer for all, so a scrape also succeeds while workers are
replaced.
"""

from __future__ import annotations

import select
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from apilane.plugin import ConfigurationError
from apilane_metrics.exposition import CONTENT_TYPE, Exposition

__all__ = ["Listener"]

TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.1
AT_ONCE: Final = 4
"""Requests that a worker answers at a time; further ones get 503."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the answers that are being written, TIMEOUT_S at the most
    allow_reuse_port = True

    def __init__(self, address: tuple[str, int], exposition: Exposition) -> None:
        self.exposition = exposition
        self.turns = threading.BoundedSemaphore(AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def answer_accepted(self) -> None:
        """Answer the connections that wait to be accepted; closing the socket would reset them."""
        while select.select([self.socket], [], [], 0)[0]:
            self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is not worth a line."""


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "Only /metrics is here")
            return
        if not self.server.turns.acquire(blocking=False):
            self.send_error(503, "Too many scrapes at a time")
            return
        try:
            body = self.server.exposition.text()
        finally:
            self.server.turns.release()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not logged."""


class Listener:
    """``address``: host and port. Raises ConfigurationError when it cannot be used."""

    def __init__(self, address: tuple[str, int], exposition: Exposition) -> None:
        try:
            self._server = _Server(address, exposition)
        except OSError as error:
            host, port = address
            raise ConfigurationError(
                f"The metrics cannot listen on {host}, port {port}: {error.strerror or error}; set another listen in "
                "[plugins.metrics]."
            ) from error
        serve = partial(self._server.serve_forever, POLL_S)
        threading.Thread(target=serve, name="apilane-metrics", daemon=True).start()

    def close(self) -> None:
        """Stop to listen, after the answers that are due. Blocks for some time."""
        self._server.shutdown()
        self._server.answer_accepted()
        self._server.server_close()
