"""A file that is sent to us, as the body itself or in a form, into a temporary file: of any size a little is in memory.

The file has no name on the disk, so nothing is left of it whatever happens. How it was called where it came from names
nothing here.
"""

import asyncio
import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.errors import FieldError, PayloadTooLarge, UnsupportedMediaType, ValidationFailed

FORM = "multipart/form-data"
FILE = "file"
MAX_FIELDS = 2_000
MAX_FIELD_BYTES = 100_000
"""All fields of a form together, without the file."""
WRITE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A file, which whoever has this closes; the SHA-256 of its content; and the fields that came with it.

    `filename` and `content_type` (lower case, without parameters) are what the form says of it; either may be empty.
    """

    file: BinaryIO
    size: int
    digest: str
    fields: Mapping[str, list[str]]
    filename: str = ""
    content_type: str = ""


async def receive_file(
    request: Request, folder: Path, media_types: Collection[str] = (), *, max_bytes: int | None = None
) -> Received:
    """Read the request's body: one of the media types, or a form with the file in its field `file`.

    Raises:
        PayloadTooLarge: the file has more than `max_bytes`.
        UnsupportedMediaType: it is something else.
        ValidationFailed: there is no file, or the form is broken.
    """
    content_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    media_type = content_type.decode("latin-1").lower()
    if media_type not in (FORM, *media_types):
        as_it_is = f", or as the body itself: {', '.join(media_types)}" if media_types else ""
        raise UnsupportedMediaType(f"send the file as {FORM}{as_it_is}")
    sink = _Sink(await asyncio.to_thread(_open_in, folder), max_bytes)
    try:
        form = _Form(parameters.get(b"boundary", b""), sink) if media_type == FORM else None
        async for chunk in request.stream():
            if form is None:
                sink.add(chunk)
            else:
                form.add(chunk)
            await sink.write(WRITE_BYTES)
        await sink.write(0)
        if form is not None:
            form.end()
        if not sink.size:
            raise _wrong(FILE, "there is no file, or nothing in it", "missing")
    except ClientDisconnect as gone:
        sink.file.close()
        raise HTTPException(400, "the caller hung up") from gone
    except BaseException:
        sink.file.close()
        raise
    if form is None:
        return Received(sink.file, sink.size, sink.digest.hexdigest(), {}, content_type=media_type)
    return Received(sink.file, sink.size, sink.digest.hexdigest(), form.fields, form.filename, form.content_type)


def _open_in(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


class _Sink:
    """The temporary file: what is added is written some at a time, in a thread."""

    def __init__(self, file: BinaryIO, max_bytes: int | None) -> None:
        self.file = file
        self._max_bytes = max_bytes
        self.digest = hashlib.sha256()
        self.size = 0
        self._waiting: list[bytes] = []
        self._bytes = 0

    def add(self, data: bytes) -> None:
        """Take some of the file; raises `PayloadTooLarge`."""
        self._waiting.append(data)
        self._bytes += len(data)
        if self._max_bytes is not None and self.size + self._bytes > self._max_bytes:
            raise PayloadTooLarge(f"the file has more than {self._max_bytes} bytes")

    async def write(self, at_least: int) -> None:
        """Write what has come, if it is more than so many bytes."""
        if self._bytes > at_least:
            data = b"".join(self._waiting)
            self._waiting, self._bytes = [], 0
            self.size += len(data)
            await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        self.digest.update(data)
        self.file.write(data)


class _Form:
    """A form that comes in pieces: its file goes into the sink, its other fields are kept."""

    def __init__(self, boundary: bytes, sink: _Sink) -> None:
        self.fields: dict[str, list[str]] = defaultdict(list)
        self.filename = self.content_type = ""
        self._sink = sink
        self._files = 0
        self._left = MAX_FIELD_BYTES
        self._count = 0
        self._name = ""
        self._value = b""
        self._header = self._header_value = b""
        self._disposition = self._type = b""
        self._ended = False
        if not boundary:
            raise _broken("its content type names no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_header,
                    "on_header_value": self._add_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    def add(self, chunk: bytes) -> None:
        """Read the next piece; raises `ValidationFailed`."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(str(error)) from error

    def end(self) -> None:
        """There is no more; raises `ValidationFailed` where there should be."""
        if not self._ended:
            raise _broken("it ends in the middle")
        if self._files != 1:
            raise _wrong(FILE, f"one file is needed, here are {self._files}", "missing")

    def _begin_part(self) -> None:
        self._name, self._value, self._disposition, self._type = "", b"", b"", b""
        self._count += 1
        if self._count > MAX_FIELDS:
            raise _broken(f"it has more than {MAX_FIELDS} fields")

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._header_value
        elif self._header.lower() == b"content-type":
            self._type = self._header_value
        self._header = self._header_value = b""

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        self._name = parameters.get(b"name", b"").decode("utf-8", "replace")
        if self._name == FILE:
            self._files += 1
            self.filename = parameters.get(b"filename", b"").decode("utf-8", "replace")
            self.content_type = parse_options_header(self._type)[0].decode("latin-1").lower()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            if self._files == 1:
                self._sink.add(data[start:end])
            return
        self._left -= end - start
        if self._left < 0:
            raise _broken(f"its fields are longer than {MAX_FIELD_BYTES} bytes")
        self._value += data[start:end]

    def _end_part(self) -> None:
        if self._name != FILE:
            self.fields[self._name].append(self._value.decode("utf-8", "replace"))

    def _end(self) -> None:
        self._ended = True


def _broken(why: str) -> ValidationFailed:
    return _wrong("body", f"the form cannot be read: {why}", "form_invalid")


def _wrong(field: str, message: str, code: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, code)])
