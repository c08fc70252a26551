"""Which `Host` names are ours, and which web origins may speak to us. Names are compared, never looked up."""

import re
from collections.abc import Collection

HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::(?P<port>[0-9]{1,5}))?")
ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{HOST.pattern})")
EXTENSION_ORIGIN = re.compile(r"chrome-extension://[a-p]{32}")
DEFAULT_PORTS = {"http": "80", "https": "443"}
OWN_EXTENSION = "chrome-extension://fbabhdnphpflcbpiobnjnngmdacdjegg"
"""Our extension, whose id follows from the `key` in extension/manifest.json: it may call wherever the gateway runs."""
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class HostList:
    """The names under which this service may be addressed.

    Loopback and the address that the server is bound to, with any port; and the configured ones: `name` with any
    port, `name:port`, or `*` for every name, which gives up the protection from DNS rebinding.

    Raises:
        ValueError: a configured entry is not a host.
    """

    def __init__(self, configured: Collection[str], bound_host: str) -> None:
        bare = bound_host.lower().strip("[]")
        self._names = LOOPBACK_NAMES | {f"[{bare}]" if ":" in bare else bare}
        self._every = "*" in configured
        self._configured = {_checked_host(entry) for entry in configured if entry != "*"}

    def allows(self, host: str) -> bool:
        """Whether a `Host` header's value is one of ours."""
        match = HOST.fullmatch(host.lower())
        if match is None:
            return False
        return self._every or match["name"] in self._names or not self._configured.isdisjoint((match["name"], match[0]))


class OriginList:
    """The foreign web origins that may call: our own extension, and those that are configured.

    These are written as `https://app.example.org`, or an extension's `chrome-extension://<id>`.

    Raises:
        ValueError: a configured entry is not an origin. `*` and `null` are not: they would let every page in.
    """

    def __init__(self, configured: Collection[str]) -> None:
        self._origins = {OWN_EXTENSION, *map(_checked_origin, configured)}

    def allows(self, origin: str) -> bool:
        """Whether an `Origin` header's value is one of these."""
        return normal_origin(origin) in self._origins


def own_origin(scheme: str, host: str) -> str | None:
    """The origin of our own pages as this caller sees them, from the request's scheme and its checked `Host`."""
    web_scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return normal_origin(f"{web_scheme}://{host}")


def normal_origin(origin: str) -> str | None:
    """The origin in lower case and without a default port; None if it is `null` or anything else but an origin."""
    origin = origin.lower()
    if EXTENSION_ORIGIN.fullmatch(origin):
        return origin
    match = ORIGIN.fullmatch(origin)
    if match is None:
        return None
    port = match["port"]
    suffix = "" if port in (None, DEFAULT_PORTS[match["scheme"]]) else f":{port}"
    return f"{match['scheme']}://{match['name']}{suffix}"


def _checked_host(entry: str) -> str:
    match = HOST.fullmatch(entry.lower())
    if match is None:
        raise ValueError(f"server.allowed_hosts: {entry!r} is not a host; write example.org or example.org:8443")
    return match[0]


def _checked_origin(entry: str) -> str:
    origin = normal_origin(entry)
    if origin is None:
        raise ValueError(
            f"server.allowed_origins: {entry!r} is not an origin; write https://example.org or chrome-extension://<id>"
        )
    return origin
