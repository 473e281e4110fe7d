"""Where calls outside may go."""

from __future__ import annotations

import pytest

from analytics.notifications.allowed_networks import is_allowed, networks_of


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_the_public_internet_is_allowed(address: str) -> None:
    """In both notations."""
    assert is_allowed(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - to be refused
        "224.0.0.251",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
    ],
)
def test_private_networks_are_not_however_they_are_spelt(address: str) -> None:
    """Loopback, private, link-local, shared, multicast; as IPv4 inside IPv6, too."""
    assert not is_allowed(address, ())


def test_a_network_that_is_named_is_allowed() -> None:
    """And no other."""
    allowed = networks_of("10.0.0.0/8, fd00::/8")

    assert is_allowed("10.1.2.3", allowed)
    assert is_allowed("::ffff:10.1.2.3", allowed)
    assert is_allowed("fd00::1", allowed)
    assert not is_allowed("192.168.1.1", allowed)
    assert not is_allowed("127.0.0.1", allowed)


def test_what_is_no_network_is_refused() -> None:
    """When the service starts, not when it is needed."""
    with pytest.raises(ValueError, match="10"):
        networks_of("10.0.0.1/8")
