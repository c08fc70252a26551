from ipaddress import ip_network

import pytest

from gateway.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.8", "192.0.0.170", "192.0.2.1",
        "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
        "2001::1", "2001:0:4136:e378::1", "3fff::1", "100::1", "5f00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
        "2606:4700::1%eth0",
        "", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5",
    ],
)  # fmt: skip
def test_what_leads_to_us_our_neighbours_or_nowhere_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "192.0.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111"]
)
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_an_excepted_network_may_be_called_and_nothing_beside_it() -> None:
    ours = [ip_network("192.168.7.0/24")]
    assert is_public("192.168.7.9", except_in=ours)
    assert is_public("::ffff:192.168.7.9", except_in=ours)
    assert not is_public("192.168.8.9", except_in=ours)
    assert not is_public("::1", except_in=ours)
