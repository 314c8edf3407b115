"""Visitors of the playground who mean harm or vanish, against a live server.

Each function in `ATTACKS` is an attack. It raises `AssertionError` if the server does what it should not, or if an
honest visitor, who is there all the time, notices. `soak` lets hundreds come and go, and measures what they leave.
"""

import asyncio
import contextlib
import io
import json
import random
import resource
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path

from helpers import FORM
from PIL import Image, PngImagePlugin
from wire import Visitor, WebSocketClosedError, connect, fetch, header, httpclient, pack

from deepdream.playground.decoder import MEMORY_BYTES
from deepdream.playground.image_reader import MAX_DECODINGS

PLACES = 6  # --max-visitors
CONNECT_S = 12  # --connect
GRACE_S = 1  # --grace
FORGET_S = 4  # --forget
OPTIONS = (f"--max-visitors={PLACES}", f"--connect={CONNECT_S}", f"--grace={GRACE_S}", f"--forget={FORGET_S}")
LIMITS = "Limits(seconds=5)"
LONG = {**FORM, "iter_n": 50, "octave_n": 8, "max_size": 480, "octave_scale": 1.1}  # a minute and more
SILENCE_S = 20  # as the server has it
PROMPTLY_S = 10  # on a busy machine
EVIL = "evil.example"
MAX_GROWTH = 0.1  # of the memory, from the first fifth of a soak to its end
PATHS = [
    "/../../../../etc/passwd",
    "/voila/files/../../../../etc/passwd",
    "/voila/files/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/files/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/files/%252e%252e/%252e%252e/etc/passwd",
    "/voila/files//etc/passwd",
    "/voila/files/etc/passwd",
    "/voila/files/....//....//etc/passwd",
    "/voila/files/..\\..\\..\\etc\\passwd",
    "/voila/files/../pyproject.toml",
    "/voila/files/pyproject.toml",
    "/voila/files/.git/config",
    "/voila/files/../.git/config",
    "/voila/static/../../../../../../../../etc/passwd",
    "/voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/static//etc/passwd",
    "/voila/static/..%2f..%2fapp.py",
    "/voila/templates/../../../../etc/passwd",
    "/voila/templates/deepdream/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/templates/deepdream/static/..%2f..%2f..%2fetc%2fpasswd",
    "/voila/templates//etc/passwd",
    "/voila/labextensions/../../../../etc/passwd",
    "/voila/labextensions/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/labextensions//etc/passwd",
    "/voila/api/themes/../../../../etc/passwd",
    "/voila/api/themes/%2e%2e/%2e%2e/etc/passwd",
    "/voila/api/contents/../../etc/passwd",
    "/voila/api/contents/pyproject.toml",
    "/api/contents/pyproject.toml",
    "/files/pyproject.toml",
    "/static/../../../../etc/passwd",
    "/voila/tree/..",
    "/voila/render/../pyproject.toml",
    "/voila/query/../../etc/passwd",
]
SECRETS = (b"root:x:", b"[project]", b"[core]")


def bomb(side=6300):
    """A PNG of some kilobytes that unfolds to as many megapixels as the page takes."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    return file.getvalue()


async def unharmed(server, honest, kernels=None):
    """The server answers promptly, to the honest visitor too, and has as many processes as before."""
    began = time.monotonic()
    assert (await fetch(server, "voila/static/voila.js")).code == 200
    await honest.do("choose", name="cat", until=("picture",), timeout=PROMPTLY_S, **{"for": "picture"})
    assert time.monotonic() - began < PROMPTLY_S
    if kernels is not None:
        assert server.kernels() == kernels, server.processes()


async def closed(websocket, seconds=PROMPTLY_S):
    """Wait until the server closes a WebSocket; the messages before."""
    messages, end = [], time.monotonic() + seconds
    while (message := await asyncio.wait_for(websocket.read_message(), end - time.monotonic())) is not None:
        messages.append(message)
    return messages


async def refused_to_open(server, kernel_id, code, **options):
    """That a WebSocket is refused with this status before it is opened."""
    try:
        await connect(server, kernel_id, **options)
    except httpclient.HTTPClientError as error:
        assert error.code == code, error
    else:
        raise AssertionError(f"opened with {options}")


async def without_the_subprotocol(server, honest):
    """The message that freezes Voilà: it is never read."""
    for offered in ((), ("json",), ("v2.kernel.websocket.jupyter.org", "v1")):
        await refused_to_open(server, honest.kernel_id, 400, subprotocols=offered)
    await refused_to_open(server, "00000000-0000-0000-0000-000000000000", 404)


async def malformed_messages(server, honest):
    """Messages that are not Jupyter's end their connection, and take no memory."""
    good = pack("shell", header("comm_info_request"), {})
    nested = b"[" * 200_000
    huge = (2**62).to_bytes(8, "little")
    messages = [
        "text",
        '{"header": {"msg_type": "comm_info_request"}, "channel": "shell", "content": {}}',
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff" * 100_000,
        huge + good[8:],
        (2**33).to_bytes(8, "little") + good[8:],
        (100).to_bytes(8, "little") + good[8:],
        good[:7],
        good[:-1],
        good + b"x",
        good[:8] + huge + good[16:],
        good[:8] + good[16:24] + good[8:16] + good[24:],
        good[:56],
        pack("shell", [], {}),
        pack("shell", {"msg_type": 7}, {}),
        pack("shell", {"msg_type": ["comm_open"]}, {}),
        pack("shell", {}, {}),
        pack("shell", header("comm_open"), []),
        pack("shell", header("comm_open"), {}),
        pack("shell", header("comm_open"), {"target_name": {}}),
        good.replace(b'{"msg_id', nested[:8]),
    ]
    too_big = pack("shell", header("comm_msg"), {"x": "y" * 3 * 2**20})
    before = server.memory()
    for number, message in enumerate(messages):
        websocket = await connect(server, honest.kernel_id)
        with contextlib.suppress(WebSocketClosedError):
            await websocket.write_message(message, binary=isinstance(message, bytes))
            for _ in range(3):  # while it is being closed
                await websocket.write_message(good, binary=True)
        await closed(websocket)
        assert websocket.close_code == 1003, (number, websocket.close_code)
    websocket = await connect(server, honest.kernel_id)
    with contextlib.suppress(WebSocketClosedError):  # before it is all sent
        await websocket.write_message(too_big, binary=True)
    await closed(websocket)
    assert server.memory() - before < 100, (before, server.memory())


async def too_many_connections(server, honest):
    """One page cannot take the server's file handles."""
    sockets = []
    with contextlib.suppress(httpclient.HTTPClientError):
        for _ in range(20):
            sockets.append(await connect(server, honest.kernel_id))
    assert 1 <= len(sockets) <= 4
    for each in sockets:
        each.close()


async def bombs(server, honest):
    """Images of 40 megapixels, six at once from each of two visitors: two are decoded at a time, the last one stays."""
    visitors = [await Visitor.visit(server) for _ in range(2)]
    for visitor in visitors:
        await visitor.ask("choose", name="coffee", **{"for": "picture"})
    data, before, most, decoders, running = bomb(), server.memory(), 0, 0, True

    async def measure():
        nonlocal most, decoders
        while running:
            most = max(most, server.memory())
            decoders = max(decoders, server.count("playground.decoder"))
            await asyncio.sleep(0.02)

    async def send(visitor):
        for number in range(6):
            await visitor.ask(
                "upload", data, name=f"bomb-{number}.png", size=len(data), first=True, **{"for": "picture"}
            )
        while True:
            message, _ = await visitor.wait("picture", "refused", timeout=120)
            if message.get("name") == "bomb-5.png" or message["event"] == "refused":
                return message

    measuring = asyncio.ensure_future(measure())
    last = await asyncio.gather(*map(send, visitors))
    running = False
    await measuring
    assert [each.get("size") for each in last] == ["6300×6300"] * 2, last
    assert 1 <= decoders <= MAX_DECODINGS, decoders
    assert most - before < MAX_DECODINGS * MEMORY_BYTES / 2**20, (before, most)
    for visitor in visitors:
        await leave(visitor)


async def other_sites(server, honest):
    """What a web site makes a browser ask for starts nothing and opens nothing, also after DNS rebinding."""
    evil = f"{EVIL}:{server.port}"
    for headers in (
        {"Host": EVIL},
        {"Host": evil},
        {"Host": evil, "Origin": f"http://{evil}"},
        {"Host": f"localhost.{EVIL}"},
        {"Host": "192.168.0.7"},
        {"Host": "[::1"},
    ):
        response = await fetch(server, **headers)
        assert response.code in (400, 403), (headers, response.code)
    ours = f"localhost:{server.port}"
    for headers in (
        {"Origin": f"http://{EVIL}"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Referer": f"http://{EVIL}/page"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        response = await fetch(server, Host=ours, **headers)
        assert response.code == 200 and b"Open the playground" in response.body, (headers, response.code)
        assert b"kernelId" not in response.body
        for path in (f"voila/api/shutdown/{honest.kernel_id}", f"api/kernels/{honest.kernel_id}/interrupt"):
            assert (await fetch(server, path, "POST", b"", **headers)).code == 403
        if "Origin" in headers or "Sec_Fetch_Site" in headers:
            await refused_to_open(server, honest.kernel_id, 403, **headers)
    await refused_to_open(server, honest.kernel_id, 403, Host=evil, Origin=f"http://{evil}")


async def more_than_there_is_room_for(server, honest):
    """Visitors beyond the limit find a page that says so; when the others are gone, there is room again."""
    expected = [200] * (PLACES - 1) + [503] * 5
    codes: list[int] = []
    for _ in range(3):  # a busy machine frees the places of earlier visitors late
        if codes != expected:
            end = time.monotonic() + CONNECT_S + PROMPTLY_S
            while server.kernels() > 1 and time.monotonic() < end:  # their pages may not yet be forgotten
                await asyncio.sleep(0.2)
            await asyncio.sleep(1)  # a process has ended, and then its place becomes free
            responses = await asyncio.gather(*(fetch(server) for _ in range(PLACES + 4)))
            codes = sorted(response.code for response in responses)
    assert codes == expected, codes
    full = next(response for response in responses if response.code == 503)
    assert b"All places are taken" in full.body and full.headers["Retry-After"]
    assert server.kernels() == PLACES
    await asyncio.sleep(GRACE_S + 0.5)
    await leave(await Visitor.visit(server))  # pages that nobody connected to make room


async def vanishing(server, honest):
    """Of two who wait behind a dream, one vanishes, and so does who dreams: the other one's turn comes."""
    first, second, third = [await Visitor.visit(server) for _ in range(3)]
    await first.do("dream", form=LONG, until=("step",))
    for each in (second, third):
        await each.do("dream", form=FORM, until=("waiting",))
    first.vanish()
    second.vanish()
    message, _ = await third.wait("ended", timeout=GRACE_S + PROMPTLY_S)
    assert message["how"] == "done", message
    await leave(third)


async def a_short_absence(server, honest):
    """A connection that is back in time finds its dream going on."""
    visitor = await Visitor.visit(server)
    await visitor.do("dream", form=LONG, until=("step",))
    visitor.vanish()
    await asyncio.sleep(GRACE_S / 4)
    await visitor.connect()
    await visitor.wait("step", timeout=PROMPTLY_S)
    await asyncio.sleep(GRACE_S * 1.5)
    await visitor.wait("step", timeout=PROMPTLY_S)
    await leave(visitor)


async def a_dream_without_end(server, honest):
    """A dream is stopped after the time that `Limits` gives it, and kept."""
    visitor = await Visitor.visit(server)
    message, buffers = await visitor.do("dream", form=LONG, until=("ended",))
    assert (message["how"], len(buffers)) == ("stopped", 1), message
    assert "A dream may take 5 s here" in message["text"]
    await leave(visitor)


async def odd_values(server, honest):
    """Numbers that are none, and foreign widgets: nothing is told of the server."""
    visitor = await Visitor.visit(server)
    for size, says in (
        (True, "has no size"),
        (-1, "has no size"),
        (1e3, "has no size"),
        ("7", "has no size"),
        (0, "is empty"),
        (10**400, "has 1000000000.0 MB"),
    ):
        message, _ = await visitor.do(
            "upload", b"x", name="a.png", size=size, first=True, until=("refused", "more"), **{"for": "picture"}
        )
        assert says in message.get("text", ""), message
    for target in ("jupyter.widget", "jupyter.widget.version", "no.such.target", "../../etc/passwd"):
        content = {"state": {"_model_module": "@jupyter-widgets/base", "_esm": "x"}, "buffer_paths": []}
        await visitor.send("comm_open", comm_id="c", target_name=target, data=content)
        await visitor.send("comm_msg", comm_id="no such comm", data={"method": "update", "state": {}})
        await visitor.send("comm_msg", comm_id=visitor.model_id, data={"method": "update", "state": {"_esm": 1}})
        await visitor.send("comm_msg", comm_id=visitor.model_id, data=[])
    await visitor.do("choose", name="noise:6\u0663x48", until=("refused",), **{"for": "picture"})
    await visitor.do("choose", name="nobody", until=("refused",), **{"for": "picture"})
    told = [(message, content) for message, content, _ in visitor.messages]
    assert not any(word in str(told) for word in ("site-packages", "Traceback", 'File "')), told[-20:]
    await leave(visitor)


async def code(server, honest):
    """A request to execute code, in every form and on every channel, runs nothing."""
    visitor = await Visitor.visit(server)
    with tempfile.TemporaryDirectory() as folder:
        proof = Path(folder) / "proof"
        run = {
            "code": f"open({str(proof)!r}, 'w')",
            "silent": False,
            "user_expressions": {"x": f"open({str(proof)!r}, 'w')"},
        }
        for channel in ("shell", "control", "stdin", "iopub"):
            for msg_type in ("execute_request", "debug_request", "complete_request", "inspect_request", "input_reply"):
                message = pack(
                    channel, header(msg_type), {**run, "command": "evaluate", "arguments": {"expression": run["code"]}}
                )
                await visitor.socket.write_message(message, binary=True)
        odd = header("comm_msg")
        await visitor.socket.write_message(pack("shell", {**odd, "msg_type": "Execute_Request"}, run), binary=True)
        twice = pack("shell", odd, run).replace(b'"comm_msg"', b'"comm_msg", "msg_type": "execute_request"')
        with contextlib.suppress(Exception):
            await visitor.socket.write_message(twice, binary=True)
        for path in (f"api/kernels/{visitor.kernel_id}/execute", "voila/execution/" + visitor.kernel_id):
            assert (await fetch(server, path, "POST", b"{}")).code in (403, 404, 405)
        await asyncio.sleep(0.5)
        assert not proof.exists()
    visitor.close()


async def paths(server, honest):
    """Paths that lead out of what is served lead nowhere."""
    for path in PATHS:
        answer = await raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\nConnection: close\r\n\r\n")
        assert not any(secret in answer for secret in SECRETS), (path, answer[:300])


async def half_requests(server, honest):
    """Two hundred requests that are begun and not ended."""
    writers = []
    for _ in range(200):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
        writers.append(writer)
    await asyncio.gather(*(writer.drain() for writer in writers))
    await unharmed(server, honest)
    for writer in writers:
        writer.close()


async def silent_connections(server, honest):
    """More connections without a word than the server has file descriptors for."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (600, limits[1]))
    logged, sockets = len(server.log), []
    try:
        for number in range(800):
            with contextlib.suppress(ConnectionResetError):
                sockets.append(socket.create_connection(("127.0.0.1", server.port)))
            if not number % 50:
                # Its turn comes after all that wait to be accepted: when 128 do, the system itself resets connections.
                assert (await fetch(server, "voila/static/voila.js")).code == 200
        assert len(sockets) > 600
        await unharmed(server, honest)
        await leave(await Visitor.visit(server))
        assert len(server.log) - logged < 100_000
    finally:
        for each in sockets:
            each.close()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


async def a_visitor_who_does_not_read(server, honest):
    """The server does not keep without limit what a visitor asks for and does not read, whatever pongs come."""
    visitor = await Visitor.visit(server)
    stream = visitor.socket.protocol.stream
    stream.io_loop.remove_handler(stream.fileno())
    content = {"comm_id": visitor.model_id, "data": {"method": "custom", "content": {"do": "open"}}}
    before, began = server.memory(), time.monotonic()
    stream.socket.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):  # closed, or not read from any more
        while time.monotonic() - began < SILENCE_S + PROMPTLY_S:
            message = pack("shell", header("comm_msg"), content, metadata={"version": "1.0.0"})
            await asyncio.wait_for(loop.sock_sendall(stream.socket, frame(2, message) + frame(10, b"")), PROMPTLY_S)
            await asyncio.sleep(0.05)
            assert server.memory() - before < 250, server.processes()
        raise AssertionError("the connection is still there")
    stream.socket.close()


def frame(code, payload):
    """A WebSocket's frame of less than 64 KiB, as a browser sends it: a text (1), bytes (2), a pong (10)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x80 | code]) + length + bytes(4) + payload


async def recipes_without_an_encoding(server, honest):
    """An image whose recipe has texts that UTF-8 cannot encode is shown as any other, and so is the next."""
    visitor = await Visitor.visit(server)
    for name in ("input", "end", "model", "guide", "label"):
        facts = {
            "recipe": 1,
            "input": "a.png",
            "model": "squeezenet_v1.1",
            "end": "fire5/concat",
            name: "\ud800x\udc80",
        }
        info = PngImagePlugin.PngInfo()
        info.add_itxt("deepdream", json.dumps(facts))
        content = io.BytesIO()
        Image.new("RGB", (64, 64)).save(content, "PNG", pnginfo=info)
        message = await visitor.upload("a.png", content.getvalue())
        assert message["event"] in ("picture", "refused"), message
    await visitor.do("choose", name="coffee", until=("picture",), **{"for": "picture"})
    await leave(visitor)


async def a_dribbling_upload(server, honest):
    """A file that comes byte by byte, and never whole, keeps nobody from anything, not even its own visitor."""
    visitor, data = await Visitor.visit(server), bomb(200)
    for role in ("picture", "guide"):
        for number in range(40):
            await visitor.do(
                "upload", data[number : number + 1], name="a.png", size=len(data), first=number == 0,
                until=("more",), **{"for": role},
            )  # fmt: skip
    await unharmed(server, honest)
    message = await visitor.upload("b.png", data)
    assert (message["event"], message["size"]) == ("picture", "200×200"), message
    await leave(visitor)


async def silence(server, honest):
    """A visitor whose machine was switched off: the connection looks open, but nothing answers."""
    visitor = await Visitor.visit(server)
    await visitor.do("dream", form=LONG, until=("step",))
    stream = visitor.socket.protocol.stream
    stream.io_loop.remove_handler(stream.fileno())  # from here on nothing is read, so that no ping is answered
    began = time.monotonic()
    while server.kernels() > 1:
        assert time.monotonic() - began < 60, server.processes()
        await asyncio.sleep(0.5)
    stream.socket.close()


ATTACKS = (
    without_the_subprotocol,
    malformed_messages,
    too_many_connections,
    bombs,
    other_sites,
    more_than_there_is_room_for,
    vanishing,
    a_short_absence,
    a_dream_without_end,
    odd_values,
    code,
    paths,
    half_requests,
    silent_connections,
    a_visitor_who_does_not_read,
    recipes_without_an_encoding,
    a_dribbling_upload,
    silence,
)


async def leave(visitor):
    """Leave as a browser does that closes the page."""
    await visitor.ask("leave")
    visitor.close()


async def raw(server, request):
    """The answer to a request that is sent as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode("latin-1"))
    try:
        return await asyncio.wait_for(reader.read(2**20), PROMPTLY_S)
    finally:
        writer.close()


async def attacked(server, attack):
    """Run an attack beside an honest visitor, who must not notice."""
    honest = await Visitor.visit(server)
    kernels = server.kernels()
    try:
        await attack(server, honest)
        await unharmed(server, honest)
        end = time.monotonic() + CONNECT_S + PROMPTLY_S
        while server.kernels() > kernels:
            assert time.monotonic() < end, server.processes()
            await asyncio.sleep(0.2)
    finally:
        with contextlib.suppress(WebSocketClosedError):
            await leave(honest)
        server.close_sockets()


async def _honest(server, rng):
    visitor = await Visitor.visit(server, patience=60)
    await visitor.do("choose", name=rng.choice(("coffee", "noise:300x200")), until=("picture",), **{"for": "picture"})
    if rng.random() < 0.3:
        message, _ = await visitor.do("dream", form={**FORM, "max_size": 96}, until=("ended",), timeout=300)
        assert message["how"] == "done", message
    await leave(visitor)


async def _vanishes(server, rng):
    visitor = await Visitor.visit(server, patience=60)
    if rng.random() < 0.5:
        await visitor.do("dream", form=LONG, until=("step", "waiting"))
    visitor.vanish()


async def _hostile(server, rng):
    visitor = await Visitor.visit(server, patience=60)
    kind = rng.randrange(5)
    if kind == 0:
        await refused_to_open(server, visitor.kernel_id, 400, subprotocols=())
    elif kind == 1:
        await visitor.socket.write_message(b"\xff" * rng.randrange(1000), binary=True)
        with contextlib.suppress(ConnectionError):
            await visitor.wait("nothing")
    elif kind == 2:
        data = bomb()
        for number in range(3):
            await visitor.ask("upload", data, name=f"{number}.png", size=len(data), first=True, **{"for": "picture"})
    elif kind == 3:
        assert (await fetch(server, Host=EVIL)).code == 403
        assert (await fetch(server, Origin=f"http://{EVIL}")).code == 200
    else:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nX-")
            writer.close()
    visitor.vanish()


async def soak(server, count, seed, tell=lambda *_: None, parts=5):
    """So many visitors, three at a time, in an order of chance: four of six honest, one vanishing, one hostile.

    Returns:
        {"memory": MiB of the server, before and at rest after each part of the visitors, "processes": likewise,
        "visitors": {kind: their number}}.
    """
    rng = random.Random(seed)
    kinds = [_hostile] * (count // 6) + [_vanishes] * (count // 6)
    kinds += [_honest] * (count - len(kinds))
    rng.shuffle(kinds)
    memory, processes = [], []

    async def rest():
        end = time.monotonic() + 60
        while len(server.processes()) > 1 and time.monotonic() < end:
            await asyncio.sleep(0.5)
        memory.append(round(server.memory()))
        processes.append(len(server.processes()))

    await rest()
    for part in range(parts):
        waiting = [(kind, random.Random(rng.random())) for kind in kinds[part::parts]]

        async def come_and_go(waiting=waiting):
            while waiting:
                kind, chance = waiting.pop()
                await kind(server, chance)

        await asyncio.gather(*(come_and_go() for _ in range(3)))
        await asyncio.sleep(CONNECT_S)
        await rest()
        server.close_sockets()
        tell(sum(len(kinds[each::parts]) for each in range(part + 1)), memory[-1], processes[-1])
    return {"memory": memory, "processes": processes, "visitors": Counter(kind.__name__[1:] for kind in kinds)}


def left_behind(found):
    """What a soak has left, in words.

    Python's memory does not shrink to what it was before the first page was made; from then on it may not grow.
    """
    first, *later = found["processes"]
    problems = [f"{each} processes are left where there was {first}" for each in later if each != first]
    grown = found["memory"][-1] / found["memory"][1] - 1
    return problems + ([f"memory grew by {grown:.0%}"] if grown > MAX_GROWTH else [])
