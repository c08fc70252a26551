import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import AF_INET, AddressFamily
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.fetch import BadAnswer, BadStatus, Fetched, TooLarge, fetch
from gateway.guarded import AddressForbidden, BadUrl, CallError, TooSlow, Unreachable

KILO = 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50


class Server:
    """A web server on loopback that says word for word what a test wants; it notes every request."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.tail: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None

    @asynccontextmanager
    async def listening(self, host: str) -> AsyncIterator["Server"]:
        async with await asyncio.start_server(self.serve, host, 0) as sockets:
            self.port = sockets.sockets[0].getsockname()[1]
            yield self

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def says(self, path: str, *headers: str, status: str = "200 OK", body: bytes = b"") -> None:
        self.answers[path] = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body

    def redirects(self, path: str, to: str, status: str = "302 Found") -> None:
        self.says(path, f"Location: {to}", "Content-Length: 0", status=status)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            writer.write(self.answers[request.split()[1]])
            if self.tail is not None:
                await self.tail(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client had enough: what some tests are about
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().listening("127.0.0.1") as server:
        yield server


@pytest.fixture
async def public() -> AsyncIterator[Server]:
    """A server that strangers' addresses may name (see `get_as_a_user`)."""
    async with Server().listening("127.0.0.2") as server:
        yield server


class LoopbackSocket(socket.socket):
    """A socket that connects to this machine only."""

    def connect(self, address: Any) -> None:
        assert ip_address(address[0]).is_loopback, f"a test was about to call {address[0]}"
        super().connect(address)


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that is broken must turn a test red, not call somebody's network."""
    monkeypatch.setattr("gateway.guarded.socket", LoopbackSocket)


class FakeDns(AbstractResolver):
    """Answers each question with the next of the given answers, then with the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        self.questions.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=AF_INET, proto=0, flags=0)
            for address in answer
        ]

    async def close(self) -> None:
        return None


async def get(url: str, *, max_bytes: int = 100 * KILO, timeout_seconds: float = 5) -> Fetched:
    """Fetch from a server of our own on loopback."""
    return await fetch(url, max_bytes=max_bytes, timeout_seconds=timeout_seconds, allow_private_addresses=True)


async def get_as_a_user(url: str, *, resolver: AbstractResolver | None = None, ports: tuple[int, ...] = ()) -> Fetched:
    """Fetch under the rules for strangers' addresses, 127.0.0.2 standing in for the public internet."""
    return await fetch(
        url,
        max_bytes=KILO,
        timeout_seconds=5,
        extra_ports=ports,
        allowed_networks=[ip_network("127.0.0.2/32")],
        resolver=resolver,
    )


async def test_a_file_comes_with_its_type_and_name(server: Server) -> None:
    server.says("/a/cat%20one.png?v=1", "Content-Type: Image/PNG; charset=x", f"Content-Length: {len(PNG)}", body=PNG)
    url = server.url("/a/cat%20one.png?v=1")
    assert await get(url) == Fetched(PNG, "image/png", "cat one.png", url)


@pytest.mark.parametrize(
    ("path", "header", "filename"),
    [
        ("/x", 'Content-Disposition: attachment; filename="price list.pdf"', "price list.pdf"),
        ("/x", "Content-Disposition: attachment; filename*=UTF-8''pr%C3%A9cis.pdf", "précis.pdf"),
        ("/x", 'Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
        ("/x", 'Content-Disposition: attachment; filename=".."', "file"),
        ("/", "X: y", "file"),
        ("/a/..%2F..%2Fb%0A.txt", "X: y", "b.txt"),
        ("/" + "n" * 300, "X: y", "n" * 120),
    ],
)
async def test_the_filename_is_a_name_and_never_a_path(server: Server, path: str, header: str, filename: str) -> None:
    server.says(path, header, "Content-Length: 1", body=b"x")
    assert (await get(server.url(path))).filename == filename


async def test_a_file_without_a_declared_type_is_a_stream_of_octets(server: Server) -> None:
    server.says("/", "Connection: close", body=b"abc")
    assert (await get(server.url())).content_type == "application/octet-stream"


async def test_we_ask_for_plain_bytes_and_send_no_credentials(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ana password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.says("/", "Set-Cookie: a=b", "Location: /next", "Content-Length: 0", status="302 Found")
    server.says("/next", "Content-Length: 2", body=b"ok")
    assert (await get(server.url())).content == b"ok"
    for request in server.requests:
        assert "accept-encoding: identity" in request.lower()
        assert "authorization" not in request.lower()
        assert "cookie" not in request.lower()


@pytest.mark.parametrize("status", ["301 X", "302 X", "303 X", "307 X", "308 X"])
async def test_redirects_are_followed(server: Server, status: str) -> None:
    server.redirects("/a", "b/", status)
    server.says("/b/", "Content-Length: 2", body=b"ok")
    fetched = await get(server.url("/a"))
    assert (fetched.content, fetched.url) == (b"ok", server.url("/b/"))


async def test_three_redirects_are_followed_and_not_a_fourth(server: Server) -> None:
    for index in range(4):
        server.redirects(f"/{index}", f"/{index + 1}")
    server.says("/3", "Content-Length: 2", body=b"ok")
    assert (await get(server.url("/0"))).content == b"ok"
    server.redirects("/3", "/4")
    with pytest.raises(BadStatus, match="more than 3"):
        await get(server.url("/0"))
    assert len(server.requests) == 8


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://ana:secret@127.0.0.1/", "http://[x/"])
async def test_a_redirect_to_what_we_would_not_call_is_refused(server: Server, to: str) -> None:
    server.redirects("/", to)
    with pytest.raises(BadUrl):
        await get(server.url())


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial", "304 Same", "401 No", "404 No", "500 Oh"])
async def test_any_status_but_200_is_an_error_that_names_it(server: Server, status: str) -> None:
    server.says("/", "Content-Length: 0", status=status)
    with pytest.raises(BadStatus, match=status[:3]):
        await get(server.url())


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "/x", "//example.com/x", "http://", "http:///x", "ftp://example.com/x", "file:///etc/passwd",
        "gopher://example.com/", "javascript:alert(1)", "data:text/plain,x", "HTTP+UNIX://x/",
        "http://ana@example.com/", "http://ana:secret@example.com/", "http://:@example.com/",
        "http://example.com:22/", "http://example.com:8080/", "https://example.com:0/", "http://example.com:99999/",
        "http://example.com:x/", "http://exa mple.com/", "http://example.com/\r\nHost: x", "http://example.com\\@x/",
        "http://[::1/", "http://example.com/" + "x" * 2048, "http://exam\u200bple.com/",
        "http://2130706433/", "http://017700000001/", "http://127.1/", "http://127.0.0.01/",
        "http://" + "x" * 64 + ".example.com/", "http://example..com/", "http://xn--/",
    ],
)  # fmt: skip
async def test_what_is_not_a_plain_web_address_is_never_called(url: str) -> None:
    dns = FakeDns(["127.0.0.1"])
    with pytest.raises(BadUrl):
        await get_as_a_user(url, resolver=dns)
    assert dns.questions == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.8",
        "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]",
        "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "0x7f.1", "0x7f000001",
        "①②⑦.0.0.1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_address_of_a_private_network_is_forbidden_however_it_is_spelt(scheme: str, host: str) -> None:
    with pytest.raises(AddressForbidden) as forbidden:
        await fetch(f"{scheme}://{host}/x", max_bytes=KILO, timeout_seconds=5)
    assert forbidden.value.code == "ADDRESS_FORBIDDEN"


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_name_with_one_private_address_among_its_answers_is_not_called_at_all(
    public: Server, answers: list[str]
) -> None:
    public.says("/", "Content-Length: 2", body=b"ok")
    with pytest.raises(AddressForbidden):
        await get_as_a_user(public.url(host="media.example"), resolver=FakeDns(answers), ports=(public.port,))
    assert public.requests == []


async def test_a_name_whose_only_address_may_be_called_is_called(public: Server) -> None:
    public.says("/", "Content-Length: 2", body=b"ok")
    dns = FakeDns(["127.0.0.2"], ["127.0.0.1"])
    fetched = await get_as_a_user(public.url(host="media.example"), resolver=dns, ports=(public.port,))
    assert fetched.content == b"ok"
    assert f"Host: media.example:{public.port}" in public.requests[0]
    assert dns.questions == ["media.example"]


async def test_the_address_that_was_checked_is_the_one_that_is_called(server: Server) -> None:
    """DNS rebinding: the name is asked once, so the loopback answer that comes next is never seen."""
    dns = FakeDns(["127.0.0.2"], ["127.0.0.1"])
    with pytest.raises(Unreachable, match="no connection"):  # nobody listens at 127.0.0.2
        await get_as_a_user(server.url(host="media.example"), resolver=dns, ports=(server.port,))
    assert dns.questions == ["media.example"]
    assert server.requests == []


async def test_a_redirect_to_loopback_is_forbidden(server: Server, public: Server) -> None:
    public.redirects("/", server.url("/secret"))
    with pytest.raises(AddressForbidden):
        await get_as_a_user(public.url(host="127.0.0.2"), ports=(public.port, server.port))
    assert len(public.requests) == 1
    assert server.requests == []


async def test_a_name_that_turns_to_loopback_between_two_hops_is_forbidden(public: Server) -> None:
    public.redirects("/", "/again")
    dns = FakeDns(["127.0.0.2"], ["127.0.0.1"])
    with pytest.raises(AddressForbidden):
        await get_as_a_user(public.url(host="media.example"), resolver=dns, ports=(public.port,))
    assert dns.questions == ["media.example", "media.example"]


async def test_a_port_must_be_a_usual_or_a_configured_one(server: Server) -> None:
    with pytest.raises(BadUrl, match="port"):
        await get_as_a_user(server.url(host="127.0.0.2"))


async def test_an_announced_size_over_the_limit_is_refused_before_a_byte_is_read(server: Server) -> None:
    server.says("/", f"Content-Length: {KILO + 1}")
    with pytest.raises(TooLarge, match="1025 bytes, at most 1024"):
        await get(server.url(), max_bytes=KILO)


@pytest.mark.parametrize("header", ["Connection: close", "Transfer-Encoding: chunked"])
async def test_a_size_that_is_not_announced_is_counted_while_it_comes(server: Server, header: str) -> None:
    block = b"x" * KILO if header.startswith("Conn") else b"400\r\n" + b"x" * KILO + b"\r\n"
    server.says("/", header, body=block)

    async def pour(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(block)
            await writer.drain()

    server.tail = pour
    with pytest.raises(TooLarge, match="more than 65536 bytes"):
        await get(server.url(), max_bytes=64 * KILO)


async def test_exactly_the_limit_is_taken(server: Server) -> None:
    server.says("/", "Connection: close", body=b"x" * KILO)
    assert len((await get(server.url(), max_bytes=KILO)).content) == KILO


async def test_a_compressed_answer_is_not_unpacked(server: Server) -> None:
    bomb = gzip.compress(b"\x00" * 10_000_000)
    assert len(bomb) < 20 * KILO
    server.says("/", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}", body=bomb)
    with pytest.raises(BadAnswer, match="compressed"):
        await get(server.url())


async def test_a_slow_drip_ends_with_the_time_for_the_whole(server: Server) -> None:
    server.says("/", "Content-Length: 1000", body=b"x")
    hung_up = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while not writer.transport.is_closing():
            writer.write(b"x")
            next_drop = asyncio.Event()
            loop.call_later(0.01, next_drop.set)
            await next_drop.wait()
        hung_up.set()

    server.tail = drip
    with pytest.raises(TooSlow, match=r"within 0\.2 seconds"):
        await get(server.url(), timeout_seconds=0.2)
    await hung_up.wait()


async def test_a_server_that_never_answers_ends_with_the_time(server: Server) -> None:
    server.says("/")
    server.answers["/"] = b""
    done = asyncio.Event()

    async def say_nothing(writer: asyncio.StreamWriter) -> None:
        await done.wait()

    server.tail = say_nothing
    with pytest.raises(TooSlow):
        await get(server.url(), timeout_seconds=0.1)
    done.set()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"SSH-2.0-x\r\n\r\n"])
async def test_an_answer_that_breaks_off_is_unreachable_and_never_half_a_file(server: Server, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(Unreachable, match="broke off"):
        await get(server.url())


async def test_a_closed_port_and_an_unknown_name_are_unreachable(server: Server) -> None:
    class NoSuchHost(FakeDns):
        async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
            raise OSError("no such host")

    with pytest.raises(Unreachable, match="no connection"):
        await get("http://127.0.0.1:1/")
    with pytest.raises(Unreachable, match="no such host"):
        await get_as_a_user("http://media.example/", resolver=NoSuchHost([]))


async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async def answer_in_plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer_in_plain_text, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="TLS"):
            await get(f"https://127.0.0.1:{port}/")


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = CallError.__subclasses__()
    assert len({kind.code for kind in kinds} | {CallError.code}) == len(kinds) + 1
