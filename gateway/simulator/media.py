"""The file of a media send: given as base64, or fetched by us from an address as WAHA does."""

import base64
import binascii
import hashlib
from typing import Any

import httpx

from gateway.simulator.errors import EngineFault, JsonObject, undefined_property

FETCH_ATTEMPTS = 3
FETCH_TIMEOUT_SECONDS = 30.0


async def read_media(file: object, transport: httpx.AsyncBaseTransport | None) -> JsonObject:
    """What the ledger keeps of a file: mimetype, filename, size in bytes and sha256, not the bytes.

    EngineFault when there is no file (nothing validates it) or when its address gives none.
    """
    if not isinstance(file, dict):
        raise undefined_property("mimetype")
    content = _decoded(file["data"]) if file.get("data") else await _fetched(file.get("url"), transport)
    return {
        "mimetype": file.get("mimetype"),
        "filename": file.get("filename"),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _decoded(data: Any) -> bytes:
    try:
        return base64.b64decode(str(data))
    except binascii.Error:
        return b""  # Node's decoder never throws: rubbish becomes a broken file


async def _fetched(url: object, transport: httpx.AsyncBaseTransport | None) -> bytes:
    if not isinstance(url, str):
        raise EngineFault("Invalid URL", name="TypeError", code="ERR_INVALID_URL")
    failure = "no answer"
    timeout = httpx.Timeout(FETCH_TIMEOUT_SECONDS)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        for _ in range(FETCH_ATTEMPTS):
            try:
                answer = await client.get(url)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = str(error)
                continue
            if answer.is_success:
                return answer.content
            failure = f"Request failed with status code {answer.status_code}"
    raise EngineFault(failure, name="AxiosError", code="ERR_BAD_REQUEST")
