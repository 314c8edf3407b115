"""The playground over the wire: a server of its own, and visitors who speak its protocol without a browser."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from helpers import ROOT, upload_requests

from deepdream.data.cache import cache_folder

pytest.importorskip("voila")  # which the server needs; Dask brings Tornado without it
websocket = pytest.importorskip("tornado.websocket")
WebSocketClosedError = websocket.WebSocketClosedError
httpclient = pytest.importorskip("tornado.httpclient")

NOTEBOOK = ROOT / "notebooks" / "playground.ipynb"
SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"


class Server:
    """A running playground: `address` is http://localhost:PORT/, `cache` its cache folder."""

    def __init__(self, process, port, cache):
        self.process, self.port, self.cache = process, port, cache
        self.sockets = []  # to it, open and closed ones
        self.address = f"http://localhost:{port}/"

    @property
    def log(self):
        return (self.cache / "server.log").read_text()

    def close_sockets(self):
        """Close what is open, in the event loop in which it was opened."""
        while self.sockets:
            self.sockets.pop().close()

    def processes(self):
        """{pid: (command line, resident MiB)} of the server and all its descendants."""
        children, found = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                found[pid] = command, pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return found

    def count(self, *words):
        """The number of processes with one of these words in their command line."""
        return sum(any(word in command for word in words) for command, _ in self.processes().values())

    def kernels(self):
        return self.count("ipykernel")

    def memory(self):
        """MiB of the server and its descendants."""
        return sum(size for _, size in self.processes().values())


@contextlib.contextmanager
def serve(folder, *options, limits=None):
    """A playground with a cache folder and a queue of its own; `limits` is the text of a call of `Limits`."""
    cache = Path(folder)
    (cache / "deepdream").mkdir(parents=True)
    (cache / "deepdream" / "models").symlink_to(cache_folder() / "models")
    notebook = NOTEBOOK
    if limits is not None:
        notebook = cache / "playground.ipynb"
        notebook.write_text(NOTEBOOK.read_text().replace("Playground(Limits())", f"Playground({limits})"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(cache),
        "JUPYTER_DATA_DIR": str(cache / "jupyter"),
        "JUPYTER_PATH": str(NOTEBOOK.parent / "jupyter"),
        "OMP_NUM_THREADS": "1",
    }
    with open(cache / "server.log", "w") as log:
        process = subprocess.Popen(
            [
                *[sys.executable, "-m", "deepdream.playground.server", str(notebook), "--template=deepdream"],
                *["--no-browser", f"--port={port}", *options],
            ],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = Server(process, port, cache)
        try:
            wait(lambda: _listens(port) or process.poll() is not None, "no server")
            assert process.poll() is None, server.log
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(done, otherwise, seconds=60):
    """Wait until `done()` is true, and return it."""
    end = time.monotonic() + seconds
    while not (value := done()):
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)
    return value


async def fetch(server, path="", method="GET", body=None, **headers):
    """The response to a request, whatever its status; headers as keywords: Sec_Fetch_Site="none"."""
    return await httpclient.AsyncHTTPClient().fetch(
        server.address + path,
        method=method,
        body=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        raise_error=False,
        follow_redirects=False,
        request_timeout=60,
    )


async def connect(server, kernel_id, subprotocols=(SUBPROTOCOL,), **headers):
    """A WebSocket to a page's process."""
    address = f"ws://localhost:{server.port}/api/kernels/{kernel_id}/channels?session_id={uuid.uuid4().hex}"
    request = httpclient.HTTPRequest(
        address, headers={n.replace("_", "-"): v for n, v in headers.items()}, connect_timeout=60
    )
    subprotocols = list(subprotocols) or None
    opened = await websocket.websocket_connect(request, subprotocols=subprotocols, max_message_size=2**26)
    server.sockets.append(opened)
    return opened


def pack(channel, header, content, *buffers, parent=None, metadata=None):
    """A message in Jupyter's binary protocol."""
    parts = [channel.encode(), *(json.dumps(each).encode() for each in (header, parent or {}, metadata or {}, content))]
    parts += buffers
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return b"".join(number.to_bytes(8, "little") for number in (len(offsets), *offsets)) + b"".join(parts)


def unpack(message):
    """(header, content, buffers) of such a message."""
    count = int.from_bytes(message[:8], "little")
    offsets = [int.from_bytes(message[8 * i : 8 * (i + 1)], "little") for i in range(1, count + 1)]
    parts = [message[a:b] for a, b in zip(offsets, offsets[1:])]
    return json.loads(parts[1]), json.loads(parts[4]), parts[5:]


def header(msg_type, session="test"):
    return {"msg_id": uuid.uuid4().hex, "msg_type": msg_type, "username": "", "session": session, "version": "5.3"}


class Visitor:
    """A page: `kernel_id` is its process, `said` what it was told, as (message, buffers)."""

    def __init__(self, server, kernel_id):
        self.server, self.kernel_id, self.said, self.messages = server, kernel_id, [], []

    @classmethod
    async def visit(cls, server, patience=0):
        """Fetch the page (while every place is taken, again for `patience` seconds), find its widget, and open it."""
        end = time.monotonic() + patience
        while (response := await fetch(server)).code == 503 and time.monotonic() < end:
            await asyncio.sleep(1)
        assert response.code == 200, (response.code, response.body[-300:])
        visitor = cls(server, re.search(rb'kernelId": "([-0-9a-f]+)"', response.body)[1].decode())
        await visitor.connect()
        await visitor.find_widget()
        message, _ = await visitor.do("open", until=("picture", "refused"))
        assert message["event"] == "picture", message
        return visitor

    async def connect(self):
        self.socket = await connect(self.server, self.kernel_id)

    async def find_widget(self):
        comm = uuid.uuid4().hex
        await self.send("comm_open", comm_id=comm, target_name="jupyter.widget.control", data={})
        await self.send("comm_msg", comm_id=comm, data={"method": "request_states"})
        while True:
            _, content, _ = await self.receive()
            states = content.get("data", {}).get("states", {})
            for model_id, model in states.items():
                if model["model_name"] == "AnyModel":
                    self.model_id = model_id
                    return

    async def send(self, msg_type, *buffers, **content):
        message = pack("shell", header(msg_type), content, *buffers, metadata={"version": "1.0.0"})
        await self.socket.write_message(message, binary=True)

    async def receive(self, timeout=60):
        message = await asyncio.wait_for(self.socket.read_message(), timeout)
        if message is None:
            raise ConnectionError(f"closed: {self.socket.close_code} {self.socket.close_reason}")
        self.messages.append(unpack(message))
        return self.messages[-1]

    async def ask(self, do, *buffers, **more):
        content = {"do": do, **more}
        await self.send("comm_msg", *buffers, comm_id=self.model_id, data={"method": "custom", "content": content})

    async def wait(self, *events, timeout=60):
        """(message, buffers) of the next of these events."""
        end = time.monotonic() + timeout
        while True:
            _, content, buffers = await self.receive(end - time.monotonic())
            message = content.get("data", {}).get("content")
            if message:
                self.said.append((message, buffers))
                if message["event"] in events:
                    return message, buffers

    async def do(self, do, *buffers, until, timeout=60, **more):
        await self.ask(do, *buffers, **more)
        return await self.wait(*until, timeout=timeout)

    async def upload(self, name, data, role="picture", piece=500_000):
        """Send a file as the page does; the event that comes of it."""
        for part, request in upload_requests(name, data, role, piece):
            message, _ = await self.do("upload", part, **request)
        return message

    def vanish(self):
        """Cut the connection without a word, as a phone does that leaves the network."""
        stream = self.socket.protocol.stream
        if stream.closed():
            return
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()

    def close(self):
        self.socket.close()
