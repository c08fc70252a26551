"""What can be told of an address before it is called; what is checked when it is called is in `test_fetch.py`."""

from ipaddress import ip_network

import pytest

from gateway.guarded import AddressForbidden, BadUrl, CallError, Rules

ANY_PORT = Rules(False, range(1, 65_536), "any")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "0.0.0.0", "10.1.2.3", "169.254.169.254",
        "100.64.0.1", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]", "localhost", "LOCALHOST", "localhost.",
        "a.localhost",
    ],
)  # fmt: skip
def test_an_address_that_is_private_at_sight_is_refused_before_it_is_called(host: str) -> None:
    with pytest.raises(CallError):
        ANY_PORT.check_beforehand(f"http://{host}:8443/x")
    Rules(True, (), "").check_beforehand(f"http://{host}:8443/x")


@pytest.mark.parametrize("url", ["http://192.0.2.1.example.com/", "https://1.1.1.1/", "https://[2606:4700::1]:8443/"])
def test_a_name_and_a_public_address_are_left_to_the_call(url: str) -> None:
    ANY_PORT.check_beforehand(url)


def test_a_port_that_is_not_called_is_named_with_those_that_are() -> None:
    with pytest.raises(BadUrl, match="port 25 is not called, only 80 and 443"):
        Rules(False, (80, 443), "80 and 443").check_beforehand("https://example.com:25/")


def test_networks_of_the_operator_are_let_through_and_no_others() -> None:
    rules = Rules(False, (80,), "80", (ip_network("10.1.0.0/16"),))
    rules.check_beforehand("http://10.1.2.3/")
    with pytest.raises(AddressForbidden):
        rules.check_beforehand("http://10.2.2.3/")
