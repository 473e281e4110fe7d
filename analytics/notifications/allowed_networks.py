"""Where calls outside may go: into the public internet, and into private networks that were named."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Addresses of IPv4 as a translator of RFC 6052 reaches them.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks that a text names, in CIDR notation, with commas between them.

    Raises:
        ValueError: one is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether calls may go to an address, in its usual notation."""
    plain = _plain(ipaddress.ip_address(address.partition("%")[0]))
    if any(plain.version == network.version and plain in network for network in allowed):
        return True
    return plain.is_global and not plain.is_multicast


def _plain(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = None if address.teredo is None else address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or teredo or address
