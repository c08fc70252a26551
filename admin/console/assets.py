"""The console's files: styles, scripts, fonts and icons, all served from here and none from elsewhere.

Each has an address with its content in it, so that a browser keeps it for good and asks for a new one at once.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import NotFound

STATIC = Path(__file__).parent / "static"
PATH = "/console/static"
FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
SERVED = frozenset({".css", ".js", ".svg", ".woff2"})
COMPRESSED = frozenset({".css", ".js", ".svg"})
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}


@dataclass
class Asset:
    """One file, read and compressed once."""

    file: Path

    @cached_property
    def content(self) -> bytes:
        """As it is."""
        return self.file.read_bytes()

    @cached_property
    def compressed(self) -> bytes:
        """By gzip; the same bytes each time."""
        return gzip.compress(self.content, mtime=0)

    @cached_property
    def version(self) -> str:
        """What tells this content from another one."""
        return hashlib.sha256(self.content).hexdigest()[:12]

    @property
    def media_type(self) -> str:
        """What it is."""
        return TYPES.get(self.file.suffix) or mimetypes.guess_type(self.file.name)[0] or "application/octet-stream"


class Assets:
    """All files below a folder that may be served."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._assets = {
            str(file.relative_to(folder).as_posix()): Asset(file)
            for file in sorted(folder.rglob("*"))
            if file.suffix in SERVED
        }

    def address(self, name: str) -> str:
        """Where a file is; raises `KeyError` if there is none."""
        return f"{PATH}/{name}?v={self._assets[name].version}"

    async def serve(self, request: Request) -> Response:
        """A file."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise NotFound
        known = request.query_params.get("v") == asset.version
        headers = {
            "Cache-Control": FOR_GOOD if known else ASK_AGAIN,
            "ETag": f'"{asset.version}"',
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        content = asset.content
        if asset.file.suffix in COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = asset.compressed
        return Response(content, media_type=asset.media_type, headers=headers)
