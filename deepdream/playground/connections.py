"""An HTTP server with a limited number of connections; the central type is `BoundedServer`.

Tornado's own accepts any number of connections and keeps silent ones for an hour. When the process has no file
descriptors left, it tries to accept the next connection without end, and logs every try.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate

# Connections without a request. Tornado accepts up to 128 before it reads from any, so there must be room for more:
# otherwise a burst would push out those whose request has come but has not been read.
MAX_SILENT = 320
MAX_OPEN = 400  # connections without and with a request; a WebSocket is not counted once it is open
IDLE_S = 30.0  # until a connection without a request is closed; also for the body of a request
MAX_BODY_BYTES = 2**20  # files come through the WebSocket


class BoundedServer(HTTPServer):
    """An HTTP server that closes the connection that has been silent longest when there are too many."""

    def initialize(self, application: Any) -> None:
        """Serve a Tornado application."""
        super().initialize(
            application, idle_connection_timeout=IDLE_S, body_timeout=IDLE_S, max_body_size=MAX_BODY_BYTES
        )
        self._silent: dict[Any, None] = {}  # the connections without a request, the longest silent one first

    def handle_stream(self, stream: Any, address: Any) -> None:
        """Serve a new connection, or close it if too many have requests that are being answered."""
        if len(self._silent) >= MAX_SILENT:
            connection = next(iter(self._silent))
            self.on_close(connection)  # at once, so that it is not counted any more; Tornado does so later
            connection.stream.close()
        if len(self._connections) >= MAX_OPEN:
            stream.close()
        else:
            super().handle_stream(stream, address)

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        """A connection is ready for its next request."""
        self._silent[server_conn] = None
        return _Delegate(super().start_request(server_conn, request_conn), lambda: self._silent.pop(server_conn, None))

    def on_close(self, server_conn: Any) -> None:
        """A connection has ended."""
        self._silent.pop(server_conn, None)
        self._connections.discard(server_conn)


class _Delegate(HTTPMessageDelegate):
    """Passes a request on, and tells when its headers are complete."""

    def __init__(self, delegate: HTTPMessageDelegate, begun: Callable[[], Any]) -> None:
        self._delegate, self._begun = delegate, begun

    def headers_received(self, start_line: Any, headers: Any) -> Awaitable[None] | None:
        self._begun()
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
