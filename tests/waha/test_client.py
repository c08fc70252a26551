"""What the client asks WAHA for, and what it keeps to itself."""

import base64
import json
import logging
import traceback
from typing import Any

import httpx
import pytest
import respx

from gateway.waha import client as client_module
from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    LookupUnavailable,
    SessionNotFound,
    SessionNotWorking,
    WahaError,
    WahaInvalidRequest,
    WahaNotFound,
    WahaServerError,
    WahaUnexpectedAnswer,
)
from gateway.waha.schemas import FoundMessage, MediaKind, SentMessage
from tests.waha.conftest import API_KEY, BASE_URL

CHAT = "447700900123@c.us"
BARE = "3EB0123456789ABCDEF012"
SENT = {"id": f"true_{CHAT}_{BARE}", "_data": None}
STOPPED = {"name": "alice", "status": "STOPPED"}
LOOKUP = f"/api/alice/chats/{CHAT}/messages/{BARE}"


def last_body(waha: respx.Router) -> Any:
    return json.loads(waha.calls.last.request.content)


async def test_a_text_goes_out_under_our_id_and_without_a_preview(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(return_value=httpx.Response(201, json=SENT))

    assert await client.send_text("alice", CHAT, "Hello 👋", BARE) == SentMessage(BARE, CHAT, accepted=True)
    assert last_body(waha) == {
        "session": "alice",
        "chatId": CHAT,
        "text": "Hello 👋",
        "id": BARE,
        "linkPreview": False,
    }
    assert waha.calls.last.request.headers["X-Api-Key"] == API_KEY
    assert waha.calls.last.request.headers["Accept"] == "application/json"
    assert waha.calls.last.request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("kind", "route", "file", "more"),
    [
        ("image", "/api/sendImage", {}, {"caption": "Look"}),
        ("file", "/api/sendFile", {}, {"caption": "Look"}),
        ("video", "/api/sendVideo", {"filename": "video.mp4"}, {"caption": "Look", "convert": True}),
        ("voice", "/api/sendVoice", {"filename": "voice.ogg"}, {"convert": True}),
    ],
)
async def test_media_goes_out_as_data_on_its_own_route(
    kind: str,
    route: str,
    file: dict[str, str],
    more: dict[str, object],
    waha: respx.Router,
    client: WahaClient,
) -> None:
    waha.post(route).mock(return_value=httpx.Response(201, json=SENT))
    caption = "Look" if "caption" in more else None

    await client.send_media(
        "alice", CHAT, kind=kind, data=b"\x00\x01", mimetype="a/b", message_id=BARE, caption=caption
    )

    assert last_body(waha) == {
        "session": "alice",
        "chatId": CHAT,
        "id": BARE,
        "file": {"mimetype": "a/b", "data": base64.b64encode(b"\x00\x01").decode(), **file},
        **more,
    }


async def test_media_that_is_base64_already_is_not_encoded_again(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendFile").mock(return_value=httpx.Response(201, json=SENT))

    await client.send_media(
        "alice", CHAT, kind=MediaKind.FILE, data="AAE=", mimetype="a/b", message_id=BARE, filename="x.bin"
    )

    assert last_body(waha)["file"] == {"mimetype": "a/b", "data": "AAE=", "filename": "x.bin"}


async def test_a_voice_message_with_a_caption_is_a_mistake_of_the_caller(client: WahaClient) -> None:
    with pytest.raises(ValueError, match="caption"):
        await client.send_media(
            "alice", CHAT, kind="voice", data=b"", mimetype="audio/ogg", message_id=BARE, caption="hi"
        )


async def test_a_text_that_is_no_unicode_never_leaves(client: WahaClient) -> None:
    with pytest.raises(WahaInvalidRequest) as caught:
        await client.send_text("alice", CHAT, "half \ud83d", BARE)

    assert caught.value.surely_not_sent


async def test_a_message_that_the_store_has_is_found(waha: respx.Router, client: WahaClient) -> None:
    found = {"id": f"true_{CHAT}_{BARE}", "fromMe": True, "ack": 2}
    waha.get(LOOKUP, params={"downloadMedia": "false"}).mock(return_value=httpx.Response(200, json=found))

    assert await client.find_message("alice", CHAT, BARE) == FoundMessage(BARE, CHAT, 2, True)


async def test_only_wahas_own_word_makes_a_message_absent(waha: respx.Router, client: WahaClient) -> None:
    waha.get(LOOKUP).mock(return_value=httpx.Response(404, json={"message": "Message not found"}))

    assert await client.find_message("alice", CHAT, BARE) is None


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(404, json={"message": "Session not found"}), SessionNotFound),
        (httpx.Response(404, json={"message": "We didn't find a session with name 'a'"}), SessionNotWorking),
        (httpx.Response(404, json={"message": "Cannot GET /api/alice/chats"}), WahaNotFound),
        (httpx.Response(404, text="<html>no such message not found</html>"), WahaNotFound),
        (httpx.Response(400, json={"message": "Enable NOWEB store first"}), LookupUnavailable),
        (httpx.Response(500, json={"exception": {"message": "5 NOT_FOUND: ?"}}), WahaServerError),
        (httpx.Response(200), WahaUnexpectedAnswer),
        (httpx.Response(200, json=None), WahaUnexpectedAnswer),
        (httpx.Response(200, json={}), WahaUnexpectedAnswer),
    ],
)
async def test_no_other_answer_is_taken_for_absence(
    response: httpx.Response, error: type[WahaError], waha: respx.Router, client: WahaClient
) -> None:
    """Absence lets a message be sent again, so nothing else may look like it."""
    waha.get(LOOKUP).mock(return_value=response)

    with pytest.raises(WahaError) as caught:
        await client.find_message("alice", CHAT, BARE)

    assert type(caught.value) is error


async def test_stop_and_delete_of_an_unknown_session_are_no_errors(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sessions/ghost/stop").mock(return_value=httpx.Response(201))
    waha.delete("/api/sessions/ghost").mock(return_value=httpx.Response(200))

    await client.stop_session("ghost")
    await client.delete_session("ghost")

    assert len(waha.calls) == 2


async def test_an_unpaired_session_has_no_me(waha: respx.Router, client: WahaClient) -> None:
    waha.get("/api/sessions/alice/me").mock(return_value=httpx.Response(200, content=b"null"))

    assert await client.get_me("alice") is None


async def test_stopped_sessions_are_listed_unless_unwanted(waha: respx.Router, client: WahaClient) -> None:
    waha.get("/api/sessions").mock(return_value=httpx.Response(200, json=[STOPPED]))

    assert [session.name for session in await client.list_sessions()] == ["alice"]
    assert waha.calls.last.request.url.query == b"all=true"
    await client.list_sessions(all=False)
    assert waha.calls.last.request.url.query == b""


async def test_names_are_percent_encoded(waha: respx.Router, client: WahaClient) -> None:
    waha.route().mock(return_value=httpx.Response(200, json=STOPPED))

    await client.get_session("a b/../c?d#e%2F")

    assert waha.calls.last.request.url.raw_path == b"/api/sessions/a%20b%2F..%2Fc%3Fd%23e%252F"


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_be_another_path_is_refused(name: str, waha: respx.Router, client: WahaClient) -> None:
    """DELETE /api/sessions/.. would not be about a session."""
    with pytest.raises(ValueError, match="name"):
        await client.delete_session(name)

    assert not waha.calls


async def test_a_path_in_the_address_is_kept() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://example.test/waha/ping"
        return httpx.Response(200, json={"message": "pong"})

    async with WahaClient("https://example.test/waha/", "k", transport=httpx.MockTransport(echo)) as client:
        await client.ping()


@pytest.mark.parametrize(
    "address", ["", "waha", "localhost:3000", "ftp://waha.test", "http://", "http://u:p@waha.test", "http://w.test?x=1"]
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=r"WAHA server"):
        WahaClient(address, "k")


async def test_each_kind_of_call_has_its_own_patience(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(return_value=httpx.Response(201, json=SENT))
    waha.get("/ping").mock(return_value=httpx.Response(200, json={"message": "pong"}))
    waha.post("/api/sessions/alice/restart").mock(return_value=httpx.Response(201, json=STOPPED))

    await client.send_text("alice", CHAT, "Hello", BARE)
    await client.restart_session("alice")
    await client.ping()

    patience = [call.request.extensions["timeout"]["read"] for call in waha.calls]
    assert patience == [150, client_module.LIFECYCLE_SECONDS, client_module.PROBE_SECONDS]


async def test_the_key_is_in_no_repr_log_or_traceback(
    waha: respx.Router, client: WahaClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    waha.post("/api/sendText").mock(
        return_value=httpx.Response(500, json={"exception": {"message": f"key {API_KEY} is odd"}})
    )

    with pytest.raises(WahaError) as caught:
        await client.send_text("alice", CHAT, "Hello", BARE)

    told = "".join(traceback.format_exception(caught.value))
    assert API_KEY not in repr(client) + str(client) + caplog.text + told
    assert BASE_URL in repr(client)
