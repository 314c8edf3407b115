"""The playground's server: Voilà behind a guard.

    python -m deepdream.playground.server notebooks/playground.ipynb --template=deepdream

Voilà trusts its network and its visitors: any web site may make a browser start processes here, and one message in an
unexpected form blocks its event loop. The guard checks every request, and before anything is started or opened it
refuses a `Host` that is not the operator's (DNS rebinding), a request that another web site makes, and a WebSocket that
does not use Jupyter's binary protocol. `VisitorKernels` bounds the number of visitors and notices those who vanish.
"""

from __future__ import annotations

import asyncio
import contextvars
import html
import ipaddress
import json
import secrets
import signal
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.httputil import responses
from tornado.iostream import StreamBufferFullError
from tornado.web import HTTPError, RequestHandler
from traitlets import Float, Int, List, Unicode
from voila.app import Voila
from voila.static_file_handler import TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from .connections import BoundedServer

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
MAX_MESSAGE_BYTES = 2 * 2**20  # the page sends files in pieces of half a megabyte
MAX_CONNECTIONS = 4  # of one page: it may connect again before the end of the old connection is noticed
STOP_SIGNAL = signal.SIGUSR1  # tells a page's process that its visitor is gone; see `Playground`
# To a connection whose other end does not read: until its requests wait, and until it is closed.
HOLD_BYTES, MAX_UNSENT_BYTES = 8 * 2**20, 64 * 2**20
_HOLD_POLL_S = 0.05
_RENDER_S = 120.0  # for a page to be made
_PING_S, _SILENCE_S = 5.0, 20.0  # between two pings of a connection; without an answer until it counts as lost
_MIN_PARTS, _MAX_PARTS = 5, 16  # of a message: channel, header, parent, metadata, content; then the buffers
_CHANNELS = (b"shell", b"control", b"stdin", b"iopub")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The messages that a page receives. The output, errors and input of the process are only for the operator.
_TOLD = {"comm_open", "comm_msg", "comm_close", "comm_info_reply", "kernel_info_reply", "status", "shutdown_reply"}
# The one comm that a page opens by itself: ipywidgets' way to ask for the widgets that exist.
_OPENED_BY_PAGES = {"jupyter.widget.control"}

_ANSWER = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>deepdream playground</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem;
margin: 15vh auto; padding: 0 1.25rem }} a {{ color: inherit }}</style></head>
<body><h1>{title}</h1><p>{text}</p>{link}</body></html>
"""


_page: contextvars.ContextVar[PageHandler | None] = contextvars.ContextVar("page", default=None)  # that is being sent


class VisitorKernels(AsyncMappingKernelManager):
    """A process (a Jupyter kernel) for each visitor's page, a limited number of them.

    A page whose last connection ends has its dream stopped after a short time, so that it does not keep others waiting,
    and is forgotten after a long one. A reload opens a new page; a phone that wakes up finds the old one.
    """

    max_visitors = Int(12, min=1, config=True, help="How many pages may be open at a time.")
    connect_s = Float(60.0, min=0, config=True, help="Seconds that a page may take to connect after it was fetched.")
    grace_s = Float(30.0, min=0, config=True, help="Seconds without a connection until a page's dream is stopped.")
    forget_s = Float(900.0, min=0, config=True, help="Seconds without a connection until a page is forgotten.")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._connections: Counter[str] = Counter()
        self._left_at: dict[str, float] = {}  # when the last connection of a page ended, by the event loop's clock
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def has_room(self) -> bool:
        """Whether there is room for another visitor; if necessary, a page without a connection is forgotten for it."""
        while self._is_full():
            now = asyncio.get_running_loop().time()
            left = [(since, kernel_id) for kernel_id, since in self._left_at.items() if now >= since + self.grace_s]
            if not left:
                return False
            await self._forget(min(left)[1])
        return True

    def _is_full(self) -> bool:
        return len(self.list_kernel_ids()) + self._starting >= self.max_visitors

    async def _async_start_kernel(self, **options: Any) -> str:
        if self._is_full():  # the places were free when these requests came in, all at once
            raise HTTPError(503)
        self._starting += 1
        try:
            kernel_id = await super()._async_start_kernel(**options)
        finally:
            self._starting -= 1
        page = _page.get()
        if page is None:
            self._left(kernel_id, first=True)
        else:  # it can connect when it has been sent
            page.kernel_ids.append(kernel_id)
        return kernel_id

    start_kernel = _async_start_kernel

    def page_sent(self, kernel_id: str) -> None:
        """A page has been sent to its visitor, or never will be: from now on it has to connect."""
        if kernel_id in self and not self._connections[kernel_id]:
            self._left(kernel_id, first=True)

    @contextmanager
    def connection(self, kernel_id: str) -> Iterator[None]:
        """Count a connection of a page for as long as the block lasts.

        Raises:
            HTTPError: there is no such page, or it has too many connections.
        """
        if kernel_id not in self:
            raise HTTPError(404, "This page no longer exists; load it again.")
        if self._connections[kernel_id] >= MAX_CONNECTIONS:
            raise HTTPError(429, f"A page may have {MAX_CONNECTIONS} connections at a time.")
        self._connections[kernel_id] += 1
        self._left_at.pop(kernel_id, None)
        try:
            yield
        finally:
            self._connections[kernel_id] -= 1
            if not self._connections[kernel_id]:
                del self._connections[kernel_id]
                self._left(kernel_id)

    def _left(self, kernel_id: str, first: bool = False) -> None:
        """No connection to a page is left (`first`: none has been made yet): act when that has lasted long enough."""
        since = self._left_at[kernel_id] = asyncio.get_running_loop().time()

        async def act() -> None:
            if not first:  # otherwise it is not dreaming, and the process may not handle the signal yet
                await asyncio.sleep(self.grace_s)
                if self._left_at.get(kernel_id) == since:
                    self.log.info("Page %s has no connection: its dream is stopped.", kernel_id)
                    await self.signal_kernel(kernel_id, STOP_SIGNAL)
            await asyncio.sleep(self.connect_s if first else max(0, self.forget_s - self.grace_s))
            if self._left_at.get(kernel_id) == since:
                await self._forget(kernel_id)

        # Not in the context of the request, which would keep the connection and all that it holds alive.
        task = contextvars.Context().run(asyncio.ensure_future, act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forget(self, kernel_id: str) -> None:
        """End the process of a page."""
        self._left_at.pop(kernel_id, None)
        if kernel_id in self:
            self.log.info("Page %s is forgotten.", kernel_id)
            await self.shutdown_kernel(kernel_id, now=True)


class Guard:
    """Decides which requests are let through.

    Args:
        hosts: the names under which the playground may be reached, without ports.
        any_address: whether it may also be reached by any IP address. A browser that was led here by another's domain
            name (DNS rebinding) sends that name.
    """

    def __init__(self, hosts: Collection[str], any_address: bool) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._any_address = any_address

    def knows(self, host: str) -> bool:
        """Whether the playground may be reached under the name in a `Host` header."""
        try:
            host = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        if host in self._hosts:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return self._any_address


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a request's headers say that another web site makes it."""
    for name in ("Origin", "Referer"):
        if name in headers and not _is_origin(headers[name], headers.get("Host", "")):
            return True
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _is_origin(address: str, host: str) -> bool:
    """Whether an address is one of this host and port."""
    try:
        return urlsplit(address).netloc.lower() == host.lower()
    except ValueError:
        return False


class Guarded(RequestHandler):
    """Mixed into every request handler: what the guard refuses never reaches it."""

    async def prepare(self) -> None:
        """Refuse the request, or let the handler prepare itself."""
        host = self.request.headers.get("Host", "")
        if not self.settings["guard"].knows(host):
            return self.answer(
                403,
                "Not here",
                f"The playground does not accept the host {host[:80]!r}. To allow it, start with --allow-host=NAME.",
            )
        if is_cross_site(self.request.headers):
            return self.answer(
                403,
                "Not here",
                "This request seems to come from another web site. If not, a proxy in between changes the Host header; "
                "configure the proxy to pass it on unchanged.",
            )
        prepared = super().prepare()
        if prepared is not None:
            await prepared

    def answer(self, status: int, title: str, text: str, link: str = "") -> None:
        """Answer with a small page; `link` is the text of a link to the playground."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header(
            "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        address = html.escape(self.settings["base_url"])
        link = f'<p><a href="{address}">{html.escape(link)}</a></p>' if link else ""
        self.finish(_ANSWER.format(title=html.escape(title), text=html.escape(text), link=link))

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer an error with a small page; Jupyter's templates need files that are not here."""
        self.answer(status_code, str(status_code), f"{responses.get(status_code, 'Unknown error')}.")


class PageHandler(Guarded, TornadoVoilaHandler):
    """The page, with a process for each visitor."""

    def initialize(self, **options: Any) -> None:
        """No process has been started yet."""
        super().initialize(**options)
        self.kernel_ids: list[str] = []

    async def prepare(self) -> None:
        """Do not start a process for a link, frame or script of another site, or if all places are taken."""
        known = self.settings["guard"].knows(self.request.headers.get("Host", ""))
        if known and self.request.method == "GET" and is_cross_site(self.request.headers):
            return self.answer(200, "deepdream", "This link leads to the deepdream playground.", "Open the playground")
        await super().prepare()
        if not self._finished and not self.path_args[0] and not await self.kernel_manager.has_room():
            self._answer_full()

    async def get(self, path: str | None = None) -> None:
        """Send the page. Until then its process is in use, and does not make room for another visitor."""
        token = _page.set(self)
        try:
            sending = super().get(path)
            if sending is not None:
                await asyncio.wait_for(sending, _RENDER_S)
        except asyncio.TimeoutError:
            raise HTTPError(504) from None
        finally:
            _page.reset(token)
            for kernel_id in self.kernel_ids:
                self.kernel_manager.page_sent(kernel_id)

    def write_error(self, status_code: int, **details: Any) -> None:
        """A visitor for whom all places were taken only when the process was started."""
        if status_code == 503 and not self._headers_written:
            return self._answer_full()
        return super().write_error(status_code, **details)

    def _answer_full(self) -> None:
        self.set_header("Retry-After", "30")
        self.answer(
            503,
            "All places are taken",
            "Other visitors are dreaming here. A place becomes free when one of them closes the page.",
            "Try again",
        )


class SocketHandler(Guarded, VoilaKernelWebsocketHandler):
    """A page's connection to its process: Jupyter's binary protocol, and only the messages that a page needs."""

    _unsent = 0  # bytes, an upper bound

    async def get(self, kernel_id: str) -> None:
        """Refuse a connection with another protocol before it is opened: its messages would be misread."""
        offered = [each.strip() for each in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if SUBPROTOCOL not in offered:
            return self.answer(
                400,
                "Not here",
                f"A WebSocket of the playground must offer the subprotocol {SUBPROTOCOL}. Configure the proxy in "
                "between to pass on the header Sec-WebSocket-Protocol.",
            )
        watch = asyncio.ensure_future(self._watch())
        try:
            with self.kernel_manager.connection(kernel_id):
                await super().get(kernel_id)  # returns when the connection ends
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        """Close the connection when the visitor has vanished: a lost connection looks open for hours."""
        clock = asyncio.get_running_loop().time
        self._heard_at = clock()
        self._pings: deque[bytes] = deque(maxlen=int(_SILENCE_S / _PING_S))
        while clock() - self._heard_at < _SILENCE_S:
            await asyncio.sleep(_PING_S)
            if self.ws_connection is not None and not self.ws_connection.is_closing():
                self._pings.append(secrets.token_bytes(8))
                self.ping(self._pings[-1])
        self.close()

    def on_pong(self, data: bytes) -> None:
        """If this answers a ping, the visitor's browser is there and reads what it is sent."""
        if data in self._pings:
            self._heard_at = asyncio.get_running_loop().time()

    async def on_message(self, message: str | bytes) -> None:
        """Pass on only the messages that a page needs, and none while much of what it asked for is not read."""
        while self._unsent > HOLD_BYTES and self.ws_connection is not None and self.ws_connection.stream.writing():
            await asyncio.sleep(_HOLD_POLL_S)
        if self.ws_connection is None:  # it is being closed; Voilà would read the message in Jupyter's other form
            return
        try:
            parts = message_parts(message)
            header, content = json.loads(parts[1]), json.loads(parts[4])
            if not isinstance(header["msg_type"], str) or parts[0] not in _CHANNELS:
                raise TypeError
            opens = header["msg_type"] == "comm_open"
            wanted = not opens or content["target_name"] in _OPENED_BY_PAGES
        except (KeyError, TypeError, ValueError, RecursionError):
            return self.close(1003, "not a Jupyter message")
        if wanted:
            super().on_message(message)

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Tell the page, unless the message is only for the operator."""
        if not isinstance(message, bytes):  # Jupyter's other form, for a connection that is closed by now
            return None
        _, start, end, *_ = _offsets(message)
        if json.loads(message[start:end]).get("msg_type") not in _TOLD or self.ws_connection is None:
            return None
        stream = self.ws_connection.stream
        stream.max_write_buffer_size = MAX_UNSENT_BYTES
        self._unsent = (self._unsent if stream.writing() else 0) + len(message)
        try:
            return super().write_message(message, binary)
        except StreamBufferFullError:
            stream.close()
            return None


def message_parts(message: str | bytes) -> list[bytes]:
    """The parts of a message in Jupyter's binary protocol: channel, header, parent, metadata, content, buffers.

    A message is a count of offsets, the offsets, and the parts between them, each number as eight bytes
    (https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html). Jupyter and Voilà trust the
    count, and make a list of that length; here it is checked first.

    Args:
        message: a message from the WebSocket.

    Raises:
        ValueError: it is not such a message.
    """
    if not isinstance(message, bytes):
        raise ValueError("a text")
    offsets = _offsets(message)
    return [message[start:end] for start, end in zip(offsets, offsets[1:])]


def _offsets(message: bytes) -> list[int]:
    """Where the parts of a message begin, and where the last one ends; `ValueError` as in `message_parts`."""
    count = int.from_bytes(message[:8], "little")
    if not _MIN_PARTS < count <= _MAX_PARTS + 1 or len(message) < 8 * (count + 1):
        raise ValueError(f"{count} offsets")
    offsets = [int.from_bytes(message[8 * i : 8 * (i + 1)], "little") for i in range(1, count + 1)]
    if offsets != sorted(offsets) or offsets[0] != 8 * (count + 1) or offsets[-1] != len(message):
        raise ValueError("parts that are not where they should be")
    return offsets


class TemplateFileHandler(Guarded, TemplateStaticFileHandler):
    """The files of the page's template; Voilà's own handler answers other addresses with errors of the server."""

    def parse_url_path(self, url_path: str) -> str:
        """The path of a file within the templates."""
        static, path = [*url_path.split("/", 2), "", ""][1:3]
        if static != "static" or not path or "\0" in url_path or ".." in url_path.split("/"):
            raise HTTPError(404)
        return super().parse_url_path(url_path)


class PlaygroundServer(Voila):
    """Voilà with the guard. It has Voilà's options, and those of `aliases`."""

    name = "voila"  # of its settings and templates
    allowed_hosts = List(Unicode(), config=True, help="Names under which others reach the playground.")
    aliases: ClassVar[dict[str, str]] = {
        **Voila.aliases,
        "ip": "Voila.ip",
        "allow-host": "PlaygroundServer.allowed_hosts",
        "max-visitors": "VisitorKernels.max_visitors",
        "connect": "VisitorKernels.connect_s",
        "grace": "VisitorKernels.grace_s",
        "forget": "VisitorKernels.forget_s",
    }
    classes: ClassVar[list[type]] = [*Voila.classes, VisitorKernels]

    def init_settings(self) -> dict[str, Any]:
        """Voilà's settings, and ours."""
        self.voila_configuration.multi_kernel_manager_class = VisitorKernels
        # A visitor does not choose the page's template by ?template=.
        self.voila_configuration.allow_template_override = "NO"
        self.voila_configuration.allow_theme_override = "NO"
        return {
            **super().init_settings(),
            "guard": Guard([*_LOOPBACK, *self.allowed_hosts], any_address=not _is_loopback(self.ip)),
            "ws_ping_interval": 0,  # Jupyter's notices a cut connection after minutes; `SocketHandler` has its own
            "websocket_max_message_size": MAX_MESSAGE_BYTES,
        }

    def init_handlers(self) -> list[Any]:
        """Voilà's handlers, each behind the guard; the page and its connection are ours."""
        ours = {
            TornadoVoilaHandler: PageHandler,
            VoilaKernelWebsocketHandler: SocketHandler,
            TemplateStaticFileHandler: TemplateFileHandler,
        }
        return [
            (pattern, ours.get(handler) or type(handler.__name__, (Guarded, handler), {}), *options)
            for pattern, handler, *options in super().init_handlers()
            if not handler.__module__.startswith("jupyter_server.auth")  # there is no login
        ]

    def listen(self) -> None:
        """Listen with a limited number of connections."""
        self.app.listen = lambda port, address: BoundedServer(self.app).listen(port, address)
        super().listen()


def _is_loopback(ip: str) -> bool:
    """Whether a server at this address can be reached only from this machine."""
    try:
        return ip == "localhost" or ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    PlaygroundServer.launch_instance()
