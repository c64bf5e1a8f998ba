"""Which addresses of the net a webhook may go to: those that anybody may reach, and no others.

Python's own `is_global` lets through metadata services, translated and tunnelled addresses (NAT64, 6to4,
Teredo), multicast and site-local ones. So this is a list of its own: of IPv6 only the part that is given
out to the world, of IPv4 all but what is not.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_WORLD = IPv6Network("2000::/3")
_NOT_THE_WORLD: tuple[IPv6Network, ...] = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols of the IETF, among them Teredo, which carries an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4 carries an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_NOT_PUBLIC: tuple[IPv4Network, ...] = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind carriers' NAT; 100.100.100.200 is Aliyun's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own, public by number only
            "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocols; 192.0.0.192 is Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)


def is_public(address: Address) -> bool:
    """Whether anybody may reach it. IPv4 inside IPv6, in whatever form, is not."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return (
        address.scope_id is None
        and address in _WORLD
        and not any(address in network for network in _NOT_THE_WORLD)
    )


def is_public_or_own(address: Address) -> bool:
    """The same, and 127.0.0.1: for a developer's own receiver, never in production."""
    return address == ip_address("127.0.0.1") or is_public(address)
