"""The overlays, for tests of each."""

import pytest

from tests.unit.k8s.manifests import OVERLAYS, PARTS, SERVERS, Overlay, rendered


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Overlay:
    """Each overlay in turn."""
    return rendered(request.param)


@pytest.fixture(scope="session", params=PARTS)
def part(request: pytest.FixtureRequest) -> Overlay:
    """Each overlay in turn, and the servers of production by themselves."""
    return rendered(request.param)


@pytest.fixture(scope="session")
def dev() -> Overlay:
    """The overlay for one node."""
    return rendered("dev")


@pytest.fixture(scope="session")
def prod() -> Overlay:
    """The overlay for production."""
    return rendered("prod")


@pytest.fixture(scope="session")
def servers() -> Overlay:
    """The servers that production may have beside it."""
    return rendered(SERVERS)
