"""A gateway whose PostgreSQL is reached through a proxy that can freeze."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url

from gateway.app import Gateway, build_gateway
from gateway.settings import Settings
from gateway.web import create_app
from tests.faults.harness.proxy import Proxy, Streams, proxy_to


@asynccontextmanager
async def behind_a_proxy(
    postgres_url: str, folder: Path, **sections: dict[str, Any]
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient, Proxy]]:
    """The gateway, which runs, somebody without a credential, and the proxy, which is thawed at the end."""
    url = make_url(postgres_url)

    async def connect() -> Streams:
        return await asyncio.open_unix_connection(f"{url.query['host']}/.s.PGSQL.5432")

    async with proxy_to(connect) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
        database = {"url": through, "data_folder": folder, "notify": False}
        gateway = build_gateway(Settings.model_validate({"database": database, "logging": {"file": ""}, **sections}))
        app = create_app(gateway)
        await gateway.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
            try:
                yield gateway, client, proxy
            finally:
                proxy.reset()
                proxy.thaw()
                await gateway.stop()
