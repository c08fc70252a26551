"""Addresses of a WAHA server and of things on it. A leaf."""

from urllib.parse import quote, urlencode

import httpx


def check_base_url(base_url: str) -> str:
    """Return the address without a slash at its end; ValueError for what is no http(s) address."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as exc:
        raise ValueError(f"not an address of a WAHA server: {exc}") from exc
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("a WAHA server's address is http(s)://host[:port], without user, query or fragment")
    return base_url.rstrip("/")


def path_segment(name: str) -> str:
    """Return a path segment, percent-encoded; ValueError for names that would make another path."""
    if name in {"", ".", ".."}:
        raise ValueError("not a name that can stand in a WAHA address")
    return quote(name, safe="")


def websocket_address(base_url: str, query: dict[str, str]) -> str:
    """Return the address of the server's /ws with this query."""
    scheme, _, rest = check_base_url(base_url).partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws?{urlencode(query, safe='*,')}"
