"""The playground's server: which requests and messages it lets through; tests/fuzz/visitors.py attacks a live one."""

import asyncio
import signal
import types
import typing

import pytest

pytest.importorskip("voila")

from tornado.httputil import HTTPHeaders
from wire import fetch, header, pack, serve

from deepdream.playground import server as server_module
from deepdream.playground.server import Guard, PlaygroundServer, VisitorKernels, is_cross_site, message_parts

HERE = ("localhost", "127.0.0.1", "::1")


def fields(**headers):
    return HTTPHeaders({"Host": "localhost:8866", **{name.replace("_", "-"): each for name, each in headers.items()}})


class TestGuard:
    @pytest.mark.parametrize("host", ["localhost", "LocalHost:8866", "127.0.0.1:80", "[::1]:8866", "[::1]"])
    def test_this_machine_is_known(self, host):
        assert Guard(HERE, any_address=False).knows(host)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example#localhost",
            "evil.example:localhost",
            "10.0.0.7:8866",
            "127.0.0.1.evil.example",
            "[::1",
            "[fe80::1]",
            "0.0.0.0",
        ],
    )
    def test_other_names_are_not(self, host):
        assert not Guard(HERE, any_address=False).knows(host)

    def test_names_of_the_operator_s_and_addresses_are_when_other_machines_are_let_in(self):
        guard = Guard([*HERE, "Dreams.example.org"], any_address=True)
        assert all(guard.knows(host) for host in ("dreams.example.org", "10.0.0.7:8866", "[fe80::1]:80"))
        assert not guard.knows("evil.example")


class TestCrossSite:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": "http://localhost:8866"},
            {"Referer": "http://LOCALHOST:8866/x?y"},
            {"Sec_Fetch_Site": "none"},
            {"Sec_Fetch_Site": "same-origin"},
        ],
    )
    def test_our_own_page_and_a_typed_address(self, headers):
        assert not is_cross_site(fields(**headers))

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://localhost"},
            {"Origin": "http://localhost:8867"},
            {"Origin": "http://[::1"},
            {"Referer": "http://evil.example/localhost:8866"},
            {"Referer": "http://localhost:8866@evil.example/"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Origin": "http://localhost:8866", "Sec_Fetch_Site": "cross-site"},
        ],
    )
    def test_another_site(self, headers):
        assert is_cross_site(fields(**headers))


class TestMessageParts:
    def test_parts_of_a_message(self):
        sent = header("comm_msg")
        parts = message_parts(pack("shell", sent, {"a": 1}, b"one", b""))
        assert (parts[0], parts[4:]) == (b"shell", [b'{"a": 1}', b"one", b""])
        assert sent["msg_id"].encode() in parts[1]

    def test_a_count_is_not_believed(self):
        message = pack("shell", header("comm_msg"), {})
        for count in (0, 1, 5, 7, 18, 2**31, 2**63, 2**64 - 1):
            with pytest.raises(ValueError):
                message_parts(count.to_bytes(8, "little") + message[8:])

    def test_every_wrong_offset_is_refused(self):
        message = pack("shell", header("comm_msg"), {})
        for number in range(6):
            start = 8 * (number + 1)
            for offset in (0, 1, 2**40, 2**63):
                with pytest.raises(ValueError):
                    message_parts(message[:start] + offset.to_bytes(8, "little") + message[start + 8 :])

    @pytest.mark.parametrize("message", ["text", b"", b"1234567", b"\xff" * 64])
    def test_other_messages_are_refused(self, message):
        with pytest.raises(ValueError):
            message_parts(message)

    def test_a_cut_message_is_refused(self):
        message = pack("shell", header("comm_msg"), {}, b"buffer")
        for end in range(len(message)):
            with pytest.raises(ValueError):
                message_parts(message[:end])


@pytest.fixture
def server(tmp_path):
    """A server that is set up but not started."""
    before = signal.getsignal(signal.SIGTERM)  # it ends the server's event loop, and there is none
    server = PlaygroundServer(connection_dir=str(tmp_path))
    server.initialize(["--no-browser", str(tmp_path)])
    yield server
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server that runs."""
    with serve(tmp_path_factory.mktemp("playground") / "cache") as running:
        yield running


class TestAnswers:
    @pytest.mark.parametrize(
        "method, path, code",
        [
            ("GET", "logout", 404),
            ("GET", "login", 404),
            ("GET", "voila/templates/deepdream/", 404),
            ("GET", "voila/templates/deepdream/static/", 404),
            ("GET", "voila/templates/%00/static/a", 404),
            ("GET", "voila/templates/deepdream/static/%00", 404),
            ("POST", "", 403),
            ("DELETE", "", 405),
            ("PUT", "voila/static/voila.js", 405),
        ],
    )
    def test_other_addresses_and_methods(self, running, method, path, code):
        logged = len(running.log)
        body = "x" if method in ("POST", "PUT") else None
        response = asyncio.run(fetch(running, path, method=method, body=body))
        assert response.code in (code, 302, 403), response.code  # a trailing slash is redirected
        assert "Traceback" not in running.log[logged:]


class TestOptions:
    def test_options_reach_their_traits(self):
        server = PlaygroundServer()
        server.parse_command_line(
            [
                "--ip=0.0.0.0",
                "--allow-host=a.example",
                "--allow-host=b.example",
                "--max-visitors=3",
                "--grace=1",
                "--forget=9",
            ]
        )
        assert server.ip == "0.0.0.0"
        assert server.allowed_hosts == ["a.example", "b.example"]
        kernels = VisitorKernels(parent=server)
        assert (kernels.max_visitors, kernels.grace_s, kernels.forget_s) == (3, 1, 9)

    def test_a_visitor_does_not_choose_the_template(self, server):
        server.init_settings()
        assert server.voila_configuration.allow_template_override == "NO"
        assert server.voila_configuration.allow_theme_override == "NO"

    def test_every_handler_stands_behind_the_guard(self, server):
        server.init_settings()
        handlers = server.init_handlers()
        assert len(handlers) > 8
        for _, handler, *_ in handlers:
            assert handler.__mro__[1].__name__ == "Guarded", handler


def test_a_page_that_is_being_made_does_not_make_room(monkeypatch):
    """Its request would never be answered."""

    class Kernels(VisitorKernels):
        running: typing.ClassVar[list] = []

        def list_kernel_ids(self):
            return list(self.running)

        def __contains__(self, kernel_id):
            return kernel_id in self.running

        async def shutdown_kernel(self, kernel_id, now=False):
            self.running.remove(kernel_id)

    async def start(self, **options):
        self.running.append("one")
        return "one"

    monkeypatch.setattr(server_module.AsyncMappingKernelManager, "_async_start_kernel", start)

    async def visit():
        kernels = Kernels(max_visitors=1, grace_s=0)
        page = types.SimpleNamespace(kernel_ids=[])
        server_module._page.set(page)
        await kernels.start_kernel()
        assert page.kernel_ids == ["one"]
        assert not await kernels.has_room()
        kernels.page_sent("one")
        assert await kernels.has_room()
        assert kernels.running == []
        for task in list(kernels._tasks):
            task.cancel()

    asyncio.run(visit())
