"""Addresses: what is accepted, and that nothing in a name can lead elsewhere."""

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.waha.addresses import check_base_url, path_segment, websocket_address


@pytest.mark.parametrize(
    ("given_address", "kept"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("https://waha.example/behind/proxy/", "https://waha.example/behind/proxy"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_address_loses_its_last_slash_only(given_address: str, kept: str) -> None:
    assert check_base_url(given_address) == kept


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name not in {".", ".."}))
def test_any_name_stays_one_segment(name: str) -> None:
    url = httpx.URL(f"http://waha.test/api/sessions/{path_segment(name)}")
    path, _, query = url.raw_path.decode().partition("?")

    assert query == ""
    assert path.count("/") == 3
    assert unquote(path.rpartition("/")[2]) == name


def test_the_socket_is_secure_where_the_address_is() -> None:
    assert websocket_address("http://w.test/x/", {"a": "*,b"}) == "ws://w.test/x/ws?a=*,b"
    assert websocket_address("https://w.test", {"k": "a&b"}) == "wss://w.test/ws?k=a%26b"
