"""What a file is, by its first bytes, and as which kind of WhatsApp message it goes.

A server's word on the type of a file is often wrong, and WhatsApp refuses or mangles an "image" that is none. So a
type that can be recognised must be recognised; only for others is the declared type believed.
"""

import re
from typing import Literal

MediaKind = Literal["image", "video", "voice", "file"]

UNKNOWN = "application/octet-stream"

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_VIDEOS = frozenset({"video/mp4", "video/3gpp", "video/quicktime", "video/webm"})
_AUDIO = frozenset(
    {"audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/wav", "audio/amr", "audio/webm", "audio/flac"}
)
_RECOGNISED = _IMAGES | _VIDEOS | _AUDIO | {"application/pdf", "video/ogg", "image/heic", "image/avif"}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"fLaC", "audio/flac"),
)
_BRANDS = (
    (b"M4A", "audio/mp4"),
    (b"M4B", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
    (b"3g", "video/3gpp"),
    (b"heic", "image/heic"),
    (b"heix", "image/heic"),
    (b"mif1", "image/heic"),
    (b"avif", "image/avif"),
)
_OPENXML = "application/vnd.openxmlformats-officedocument."
_OFFICE = (
    (b"word/", f"{_OPENXML}wordprocessingml.document"),
    (b"xl/", f"{_OPENXML}spreadsheetml.sheet"),
    (b"ppt/", f"{_OPENXML}presentationml.presentation"),
)
_ZIP_BASED = re.compile(r"application/(vnd\.openxmlformats-|vnd\.oasis\.|epub\+zip|vnd\.android\.|java-archive|x-zip)")
_OPEN_DOCUMENT = re.compile(rb"mimetype(application/[a-z0-9.+-]{1,80})PK")  # stored first and uncompressed


def sniff_type(content: bytes, declared: str = "") -> str:
    """The media type, without parameters, of a file that a server calls `declared` (which may be empty)."""
    declared = declared.partition(";")[0].strip().lower()
    for signature, mimetype in _SIGNATURES:
        if content.startswith(signature):
            return mimetype
    found = _in_a_container(content, declared) or _bare_audio(content)
    if found:
        return found
    return UNKNOWN if not declared or declared in _RECOGNISED else declared


def media_kind(mimetype: str) -> MediaKind:
    """As what a file of this type is sent: what no WhatsApp client shows or plays goes as a file."""
    mimetype = mimetype.partition(";")[0].strip().lower()
    if mimetype in _IMAGES:
        return "image"
    if mimetype in _VIDEOS:
        return "video"
    return "voice" if mimetype in _AUDIO else "file"


def _in_a_container(content: bytes, declared: str) -> str:
    if content[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(content[8:12], UNKNOWN)
    if content[4:8] == b"ftyp":
        return next((mimetype for brand, mimetype in _BRANDS if content[8:12].startswith(brand)), "video/mp4")
    if content[:4] == b"OggS":
        return "video/ogg" if b"theora" in content[:512] else "audio/ogg"
    if content[:4] == b"\x1aE\xdf\xa3":  # Matroska; WebM is its subset for browsers
        is_webm = b"webm" in content[:64]
        return declared if is_webm and declared == "audio/webm" else "video/webm" if is_webm else "video/x-matroska"
    return _in_a_zip(content, declared) if content[:4] == b"PK\x03\x04" else ""


def _in_a_zip(content: bytes, declared: str) -> str:
    if named := _OPEN_DOCUMENT.match(content, 30):  # after the first entry's header
        return named[1].decode("ascii")
    if _ZIP_BASED.match(declared):
        return declared
    if b"[Content_Types].xml" in content:
        return next((mimetype for folder, mimetype in _OFFICE if folder in content), "application/zip")
    return "application/zip"


def _bare_audio(content: bytes) -> str:
    """MP3 and AAC without a header of their own begin with eleven or twelve set bits."""
    if len(content) < 4 or content[0] != 0xFF:
        return ""
    if content[1] & 0xF6 == 0xF0:
        return "audio/aac"
    is_frame = content[1] & 0xE0 == 0xE0 and content[1] & 0x06 == 0x02 and content[2] & 0xF0 != 0xF0
    return "audio/mpeg" if is_frame else ""
