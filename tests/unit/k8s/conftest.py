"""The overlays, for tests of each."""

import pytest

from tests.unit.k8s.manifests import OVERLAYS, Overlay, rendered


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Overlay:
    """Each overlay in turn."""
    return rendered(request.param)


@pytest.fixture(scope="session")
def dev() -> Overlay:
    """The overlay for one node."""
    return rendered("dev")


@pytest.fixture(scope="session")
def prod() -> Overlay:
    """The overlay for production."""
    return rendered("prod")
