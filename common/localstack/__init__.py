"""The private servers and the mesh of a bare machine: started, watched and stopped as one."""

from common.localstack.mesh import Mesh, local_servers, running_mesh
from common.localstack.problem import LocalStackError
from common.localstack.services import Service, mesh_services
from common.localstack.settings import LocalSettings, Ports

__all__ = [
    "LocalSettings",
    "LocalStackError",
    "Mesh",
    "Ports",
    "Service",
    "local_servers",
    "mesh_services",
    "running_mesh",
]
