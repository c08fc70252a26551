import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from campaigns.sending.media import UNKNOWN, media_kind, sniff_type

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def zipped(*names: str, mimetype: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "x" * 10)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_real_image_is_recognised_whatever_the_server_calls_it(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, kind)
    for declared in ("", "text/html", "image/x-icon", UNKNOWN):
        assert sniff_type(file.getvalue(), declared) == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("content", "mimetype"),
    [
        (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 8, "video/mp4"),
        (b"\x00\x00\x00\x18ftypisom" + b"\x00" * 8, "video/mp4"),
        (b"\x00\x00\x00\x18ftypM4A " + b"\x00" * 8, "audio/mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (b"\x00\x00\x00\x14ftyp3gp5", "video/3gpp"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"OggS\x00\x02" + b"\x00" * 22 + b"OpusHead", "audio/ogg"),
        (b"OggS\x00\x02" + b"\x00" * 22 + b"\x80theora", "video/ogg"),
        (b"ID3\x03\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf3\x90\x64", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"#!AMR\n", "audio/amr"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x1aE\xdf\xa3\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1aE\xdf\xa3\x01\x42\x82\x88matroska", "video/x-matroska"),
        (zipped("[Content_Types].xml", "word/document.xml"), WORD),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), SHEET),
        (zipped(mimetype="application/vnd.oasis.opendocument.text"), "application/vnd.oasis.opendocument.text"),
        (zipped("a.txt"), "application/zip"),
    ],
)
def test_a_file_is_recognised_by_its_first_bytes(content: bytes, mimetype: str) -> None:
    assert sniff_type(content) == mimetype
    assert sniff_type(content, "image/png") == mimetype


@pytest.mark.parametrize(
    ("content", "declared", "mimetype"),
    [
        (b"a;b\n", "text/csv; charset=utf-8", "text/csv"),
        (b"a;b\n", "Text/CSV", "text/csv"),
        (b"<svg/>", "image/svg+xml", "image/svg+xml"),
        (b"a;b\n", "", UNKNOWN),
        (b"", "", UNKNOWN),
        (b"<html>not found</html>", "image/png", UNKNOWN),
        (b"<html>not found</html>", "video/mp4", UNKNOWN),
        (b"\xff\xff\xff\xff", "audio/mpeg", UNKNOWN),
        (b"RIFF\x00\x00\x00\x00XXXX", "image/webp", UNKNOWN),
        (zipped("a.txt"), "application/epub+zip", "application/epub+zip"),
        (b"\x1aE\xdf\xa3\x01\x42\x82\x84webm", "audio/webm", "audio/webm"),
    ],
)
def test_a_declared_type_is_believed_only_where_bytes_cannot_tell(content: bytes, declared: str, mimetype: str) -> None:
    assert sniff_type(content, declared) == mimetype


@pytest.mark.parametrize(
    ("mimetype", "kind"),
    [
        ("image/jpeg", "image"), ("image/png", "image"), ("IMAGE/PNG; x=y", "image"), ("image/svg+xml", "file"),
        ("image/heic", "file"), ("video/mp4", "video"), ("video/x-matroska", "file"),
        ("audio/ogg; codecs=opus", "voice"),
        ("audio/mpeg", "voice"), ("audio/midi", "file"), ("application/pdf", "file"), ("text/csv", "file"),
        (UNKNOWN, "file"), ("", "file"),
    ],
)  # fmt: skip
def test_a_type_is_sent_as_what_whatsapp_can_show(mimetype: str, kind: str) -> None:
    assert media_kind(mimetype) == kind


@given(content=st.binary(max_size=64), declared=st.text(max_size=30))
def test_any_bytes_have_a_type_and_a_kind(content: bytes, declared: str) -> None:
    mimetype = sniff_type(content, declared)
    assert mimetype
    assert media_kind(mimetype) in ("image", "video", "voice", "file")
