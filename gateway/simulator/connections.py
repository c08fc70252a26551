"""The TCP connections of a real server, so that a fault can really drop one.

ASGI has no word for "close the connection without an answer". The protocols that `serve` gives to uvicorn
tell this registry which transport belongs to which client address, and a request's scope names that address.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

Address = tuple[str, int]


class Connections:
    """Open transports by the client's address; empty on an ASGI transport, where there is no connection."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}
        self._addresses: dict[int, Address] = {}
        self._on_a_network = False

    def opened(self, transport: asyncio.Transport) -> None:
        """A client connected."""
        self._on_a_network = True
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and len(peer) >= 2:
            self._open[peer[0], peer[1]] = transport
            self._addresses[id(transport)] = (peer[0], peer[1])

    def lost(self, transport: asyncio.Transport) -> None:
        """A client is gone."""
        address = self._addresses.pop(id(transport), None)
        if address is not None and self._open.get(address) is transport:
            del self._open[address]

    def find(self, scope: Mapping[str, Any]) -> asyncio.Transport | None:
        """The transport that a request came by, None when there is none or it is gone."""
        client = scope.get("client")
        return self._open.get((client[0], client[1])) if client else None

    def listening(self, scope: Mapping[str, Any]) -> bool:
        """Whether the client of a request is still there to hear the answer."""
        if not self._on_a_network:
            return True
        transport = self.find(scope)
        return transport is not None and not transport.is_closing()

    def cut_all(self, *, keep: asyncio.Transport | None) -> None:
        """Drop every connection at once, but for the one to `keep`."""
        for transport in list(self._open.values()):
            if transport is not keep:
                cut(transport, reset=False)


def cut(transport: asyncio.Transport, *, reset: bool) -> None:
    """Drop a connection without another byte; with `reset` the client gets a TCP reset, not an end."""
    if reset:
        handle = transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(handle.fileno())) as copy:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
