"""The whole mesh for the end-to-end tests: private servers and the four services as processes of their own."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from common.localstack.mesh import Mesh, running_mesh
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings, Ports
from tests.e2e.mesh_client import MeshClient


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the mesh of a module keeps its things."""
    return tmp_path_factory.mktemp("mesh")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mesh(run_dir: Path) -> AsyncIterator[Mesh]:
    """A mesh of its own, ready, stopped after the last test of the module."""
    settings = LocalSettings.for_run(os.environ, root=run_dir, run_dir=run_dir, ports=Ports.free())
    async with running_mesh(settings, os.environ, services_to_run=mesh_services(settings.ports)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(mesh: Mesh) -> AsyncIterator[MeshClient]:
    """Stubs of every public service."""
    async with MeshClient.connected(mesh.environment) as connected:
        yield connected
