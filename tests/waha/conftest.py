"""Fixtures of the WAHA client's tests: a client over respx, and WAHA's own API description."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from gateway.waha.client import WahaClient

BASE_URL = "http://waha.test:3000"
API_KEY = "canary-key-4242"
OPENAPI = Path(__file__).resolve().parents[3] / "shared" / "waha" / "openapi.json"


@pytest.fixture
def waha() -> respx.Router:
    """WAHA as respx plays it: give it routes."""
    return respx.Router(base_url=BASE_URL, assert_all_called=False)


@pytest.fixture
async def client(waha: respx.Router) -> AsyncIterator[WahaClient]:
    """A client whose requests go to `waha`."""
    async with WahaClient(BASE_URL, API_KEY, transport=httpx.MockTransport(waha.async_handler)) as client:
        yield client


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """WAHA's OpenAPI document; tests that need it are skipped where it is not beside the repository."""
    if not OPENAPI.exists():
        pytest.skip("WAHA's openapi.json is not beside this repository")
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    return document
