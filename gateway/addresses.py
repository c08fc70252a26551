"""Which IP addresses belong to the public internet, and which lead to us, our neighbours or nowhere.

`ipaddress.is_global` alone is not enough: it says yes to multicast, and to IPv6 forms that carry an IPv4 address
inside, through which a gateway of the network reaches private hosts.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_FORBIDDEN_V4 = tuple(
    map(
        IPv4Network,
        [
            "0.0.0.0/8",  # this host
            "100.64.0.0/10",  # carrier NAT, and one cloud's metadata service
            "168.63.129.16/32",  # another cloud's, at a public address
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ],
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")  # outside of it nothing is public; the two NAT64 nets are outside too
_FORBIDDEN_V6 = tuple(
    map(
        IPv6Network,
        [
            "2001::/23",  # protocol assignments, Teredo with an IPv4 address inside
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, with an IPv4 address inside
            "3fff::/20",  # documentation
        ],
    )
)


def is_public(text: str, *, except_in: Sequence[IPv4Network | IPv6Network] = ()) -> bool:
    """Whether this IP address is public, or in one of the excepted networks. What is no IP address is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in except_in):
        return True
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _FORBIDDEN_V4)
    return (
        address.scope_id is None
        and address in _UNICAST_V6
        and address.is_global
        and not any(address in network for network in _FORBIDDEN_V6)
    )
