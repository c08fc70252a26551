"""Files that are uploaded to be sent: their content says what they are; nothing is left of what is refused."""

import asyncio
import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from campaigns.sending.models import Media
from campaigns.sending.retention import MEDIA_GRACE_SECONDS, forget_old
from gateway.db import read_now
from tests.api.conftest import MakeWorld
from tests.api.test_media import OGG, PNG
from tests.api.world import ALICE, World, recipients

pytestmark = pytest.mark.timeout(60)

UPLOAD = "/api/upload"
SMALL = {"upload_max_bytes": 100_000}


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway without any WAHA server on each kind of database."""
    return await make_world(database_url=database_url, capacities=(), media=SMALL)


def image(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """An image of this format."""
    file = io.BytesIO()
    Image.effect_noise(size, 50).save(file, kind)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((width // 8 + 1) * 16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def upload(world: World, content: bytes, name: str = "a", kind: str = "", **options: Any) -> httpx.Response:
    """One upload of a file with this name and declared type."""
    return await world.call("POST", UPLOAD, files={"file": (name, content, kind or None)}, **options)


def left_on_disk(world: World) -> list[Path]:
    """What lies in the folder for what is being received."""
    return [path for path in world.gateway.uploads.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "declared", "mimetype", "kind"),
    [
        (PNG, "image/png", "image/png", "image"),
        (PNG, "", "image/png", "image"),
        (image("JPEG"), "image/jpg", "image/jpeg", "image"),
        (image("WEBP"), "application/octet-stream", "image/webp", "image"),
        (image("GIF"), "image/gif", "image/gif", "image"),
        (OGG, "audio/ogg", "audio/ogg", "voice"),
        (b"%PDF-1.7 and so on", "application/pdf", "application/pdf", "file"),
        (b"a,b\n1,2\n", "text/csv", "text/csv", "file"),
        (b"\x7fELF and so on", "", "application/octet-stream", "file"),
    ],
)
async def test_what_a_file_is_its_content_says(
    world: World, content: bytes, declared: str, mimetype: str, kind: str
) -> None:
    told = (await upload(world, content, "menu.bin", declared, status=201)).json()
    assert (told["mimetype"], told["kind"], told["filename"]) == (mimetype, kind, "menu.bin")
    assert (told["size"], told["media_url"]) == (len(content), f"upload:{told['id']}")
    assert await world.get(f"{UPLOAD}/{told['id']}") == told
    assert (await world.get(UPLOAD))["items"] == [told]
    assert left_on_disk(world) == []


@pytest.mark.parametrize(
    ("content", "name", "declared", "code"),
    [
        (b"\x7fELF and so on", "a.png", "image/png", "type_mismatch"),
        (PNG, "a.pdf", "application/pdf", "type_mismatch"),
        (PNG, "a.jpg", "image/jpeg", "type_mismatch"),
        (b"GIF89a", "a.gif", "image/gif", "image_broken"),
        (image("PNG")[:200], "a.png", "image/png", "image_broken"),
        (image("JPEG")[:200], "a.jpg", "image/jpeg", "image_broken"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a.webp", "image/webp", "image_broken"),
        (bomb(30_000, 30_000), "a.png", "image/png", "image_too_large"),
        (bomb(8_000, 8_000), "a.png", "image/png", "image_too_large"),
        (PNG, "../../etc/passwd", "image/png", "filename_invalid"),
        (PNG, "/etc/passwd", "image/png", "filename_invalid"),
        (PNG, "..", "image/png", "filename_invalid"),
        (b"", "a.png", "image/png", "missing"),
    ],
)
async def test_what_is_refused_is_told_why_and_nothing_is_left_of_it(
    world: World, content: bytes, name: str, declared: str, code: str
) -> None:
    refused = (await upload(world, content, name, declared, status=422)).json()
    assert [(one["field"], one["code"]) for one in refused["errors"]] == [("file", code)]
    assert await world.count(Media) == 0
    assert left_on_disk(world) == []


async def test_a_file_that_is_too_large_is_refused_as_soon_as_it_is(world: World) -> None:
    await upload(world, bytes(100_001), status=413)
    await upload(world, b"x" * 100_000, status=201)
    assert await world.count(Media) == 1
    assert left_on_disk(world) == []


@pytest.mark.parametrize("part", [0.3, 0.9])
async def test_a_form_that_stops_half_way_leaves_nothing(world: World, part: float) -> None:
    request = world.client.build_request("POST", UPLOAD, files={"file": ("a.png", PNG * 100, "image/png")})
    body = await request.aread()
    headers = {"Content-Type": request.headers["content-type"]}
    answer = await world.client.post(UPLOAD, content=body[: int(len(body) * part)], headers=headers)
    assert answer.status_code == 422
    assert await world.count(Media) == 0
    assert left_on_disk(world) == []


async def test_a_body_that_is_no_form_is_refused(world: World) -> None:
    answer = await world.client.post(UPLOAD, content=PNG, headers={"Content-Type": "image/png"})
    assert answer.status_code == 415


async def test_the_same_upload_with_the_same_key_is_one(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = [(await upload(world, PNG, headers=key, status=201)).json() for _ in range(2)]
    assert first == again
    assert await world.count(Media) == 1
    await upload(world, PNG + b"more", headers=key, status=422)


async def test_an_upload_is_sent_as_it_came_by_one_campaign_and_by_another(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.pair(ALICE)
    media_url = (await upload(world, PNG, "menu.png", status=201)).json()["media_url"]
    for index in (0, 2):
        people = recipients(4)[index : index + 2]
        done = await world.finished(await world.send(media_url=media_url, template="Look", recipients=people))
        assert (done["sent"], done["media_url"]) == (2, media_url)
    sent = await world.waha.ledger()
    assert len(sent) == 4
    assert {one["media"]["sha256"] for one in sent} == {hashlib.sha256(PNG).hexdigest()}
    assert {(one["kind"], one["media"]["filename"]) for one in sent} == {("image", "menu.png")}


async def test_a_voice_message_carries_no_text(world: World) -> None:
    media_url = (await upload(world, OGG, status=201)).json()["media_url"]
    body = {"sender_number": ALICE, "recipients": recipients(1), "media_url": media_url, "queue_if_offline": True}
    refused = (await world.call("POST", "/api/send", body | {"template": "Listen"}, status=422)).json()
    assert [one["code"] for one in refused["errors"]] == ["voice_with_text"]
    await world.post("/api/send", body | {"template": ""})


async def test_what_is_not_there_cannot_be_sent(world: World) -> None:
    for name in ("upload:", "upload:01890000-0000-7000-8000-000000000000", "upload:../x"):
        body = {"sender_number": ALICE, "recipients": recipients(1), "template": "", "media_url": name}
        refused = (await world.call("POST", "/api/send", body | {"queue_if_offline": True}, status=422)).json()
        assert [(one["field"], one["code"]) for one in refused["errors"]] == [("media_url", "not_found")]


async def test_a_file_that_a_campaign_needs_is_not_removed(world: World) -> None:
    told = (await upload(world, PNG, status=201)).json()
    campaign = await world.send(media_url=told["media_url"], template="", queue_if_offline=True)
    refused = (await world.call("DELETE", f"{UPLOAD}/{told['id']}", status=409)).json()
    assert refused["error_code"] == "RESOURCE_IN_USE"
    await world.post(f"/api/campaigns/{campaign['campaign_id']}/cancel")
    await world.call("DELETE", f"{UPLOAD}/{told['id']}", status=204)
    await world.call("GET", f"{UPLOAD}/{told['id']}", status=404)


async def test_it_is_removed_a_day_after_it_came_or_after_its_last_campaign_has_ended(world: World) -> None:
    unused, used = [(await upload(world, PNG, status=201)).json() for _ in range(2)]
    campaign = await world.send(media_url=used["media_url"], template="", queue_if_offline=True)
    async with world.db.read() as connection:
        now = await read_now(connection)
    later = now + MEDIA_GRACE_SECONDS + 60
    await forget_old(world.db, later)
    await world.call("GET", f"{UPLOAD}/{unused['id']}", status=404)
    await world.get(f"{UPLOAD}/{used['id']}")
    await world.post(f"/api/campaigns/{campaign['campaign_id']}/cancel")
    await forget_old(world.db, later + MEDIA_GRACE_SECONDS)
    await world.call("GET", f"{UPLOAD}/{used['id']}", status=404)


async def test_many_at_once_are_each_stored(world: World) -> None:
    answers = await asyncio.gather(*(upload(world, image("JPEG", (200 + n, 100))) for n in range(6)))
    assert [answer.status_code for answer in answers] == [201] * 6
    assert await world.count(Media) == 6
