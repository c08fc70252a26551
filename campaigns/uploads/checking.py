"""Whether an uploaded file is what it says it is. Reads it; meant for a worker thread.

A file's type is told by its content (`campaigns/sending/media.py`). What says that it is something else is refused, for
WhatsApp would refuse or mangle it, and so is an image that cannot be shown, or that unfolds to far more than it weighs.
"""

import re
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from campaigns.sending.media import UNKNOWN, MediaKind, media_kind, sniff_type
from gateway.errors import FieldError, ValidationFailed

FILE = "file"
MOST_NAME = 120
MOST_PIXELS = 40_000_000
"""What the cameras of phones make has fewer; decoded it is 160 MB."""
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
    "video/x-m4v": "video/mp4",
    "image/heif": "image/heic",
    "application/x-zip-compressed": "application/zip",
    "application/x-pdf": "application/pdf",
}
"""Other names of types, as programs and browsers give them."""
_PATH = re.compile(r"[/\\\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may be sent: what it is, and as which kind of WhatsApp message it goes."""

    content: bytes
    mimetype: str
    kind: MediaKind
    filename: str


def check_file(file: BinaryIO, filename: str, declared: str) -> Checked:
    """Look at a whole file. `filename` and `declared` (its media type) are what the form says; either may be empty.

    Raises:
        ValidationFailed: it is not what it says, its name carries a path, or it is an image that cannot be used.
    """
    name = _check_name(filename)
    file.seek(0)
    content = file.read()
    declared = "" if declared == UNKNOWN else _ALIASES.get(declared, declared)
    found = sniff_type(content, declared)
    if declared and found != declared:
        raise _refused(f"it says that it is {declared}, and its content is {_told(found)}", "type_mismatch")
    if (shown := _FORMATS.get(found)) is not None:
        _check_image(file, shown)
    return Checked(content, found, media_kind(found), name)


def _check_name(filename: str) -> str:
    if _PATH.search(filename) or filename in (".", ".."):
        raise _refused("its name carries a path, or letters that no name has", "filename_invalid")
    return filename.strip(" .")[:MOST_NAME] or "file"


def _check_image(file: BinaryIO, shown: str) -> None:
    """Have it decoded as what it is, if it is small enough for that."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            file.seek(0)
            with Image.open(file, formats=[shown]) as image:
                pixels = image.width * image.height
                if pixels > MOST_PIXELS:
                    raise _refused(f"the image has {pixels} pixels, at most {MOST_PIXELS} are taken", "image_too_large")
                image.load()
    except Image.DecompressionBombError:
        raise _refused(f"the image has more than {MOST_PIXELS} pixels", "image_too_large") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for what it cannot read
        raise _refused("the image is broken", "image_broken") from error


def _told(mimetype: str) -> str:
    return "of no kind that is known" if mimetype == UNKNOWN else mimetype


def _refused(reason: str, code: str) -> ValidationFailed:
    return ValidationFailed(f"{FILE}: {reason}", errors=[FieldError(FILE, reason, code)])
