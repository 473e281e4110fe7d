"""The manifests as the cluster would get them: each overlay rendered once, with what tests ask of it."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.config import ServiceConfig

ROOT = Path(__file__).resolve().parents[3]
OVERLAYS = ("dev", "prod")
# What `prod-inside` adds to `prod`, in a namespace of its own.
SERVERS = "../servers"
PARTS = (*OVERLAYS, SERVERS)
SERVICES = ("gateway", "ingestion", "billing", "analytics")

Manifest = dict[str, Any]

# What a secret holds is not in the manifests; a service has to start with anything of the right form.
_SECRET_VALUES = {
    "MONGO_URL": "mongodb://user:password@mongodb:27017/?replicaSet=gridmesh",
    "AMQP_URL": "amqp://user:password@rabbitmq:5672/",
    "REDIS_URL": "redis://:password@redis:6379/0",
}


@dataclass(frozen=True)
class Overlay:
    """Everything that `kubectl apply -k` of one overlay would send."""

    name: str
    manifests: tuple[Manifest, ...]

    def of_kind(self, kind: str) -> dict[str, Manifest]:
        """The manifests of a kind, by name."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] == kind}

    def workloads(self) -> dict[str, Manifest]:
        """Whatever runs pods, by name."""
        kinds = ("Deployment", "StatefulSet", "Job", "CronJob")
        return {name: each for kind in kinds for name, each in self.of_kind(kind).items()}

    def containers(self) -> Iterator[tuple[str, Manifest]]:
        """Every container with the name of its workload."""
        for name, workload in self.workloads().items():
            for container in pod_spec(workload)["containers"]:
                yield name, container

    def service_container(self, service: str) -> Manifest:
        """The one container of a service of ours."""
        (container,) = pod_spec(self.of_kind("Deployment")[service])["containers"]
        assert isinstance(container, dict)
        return container

    def environment(self, container: Manifest) -> dict[str, str]:
        """The variables that a container starts with; those out of secrets have a value of the right form."""
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            variables |= self.of_kind("ConfigMap")[source["configMapRef"]["name"]]["data"]
        for each in container.get("env", []):
            variables[each["name"]] = each["value"] if "value" in each else _SECRET_VALUES.get(each["name"], "secret")
        return variables

    def config(self, service: str) -> ServiceConfig:
        """What a service makes of its container's environment, by its own loader."""
        return config_type(service).load(self.environment(self.service_container(service)))

    def secret_keys(self) -> dict[str, set[str]]:
        """The keys that are asked of each secret, by containers and by autoscalers."""
        keys: dict[str, set[str]] = {}
        for _, container in self.containers():
            for each in container.get("env", []):
                if "secretKeyRef" in each.get("valueFrom", {}):
                    reference = each["valueFrom"]["secretKeyRef"]
                    keys.setdefault(reference["name"], set()).add(reference["key"])
        for trigger in self.of_kind("TriggerAuthentication").values():
            for reference in trigger["spec"]["secretTargetRef"]:
                keys.setdefault(reference["name"], set()).add(reference["key"])
        return keys


@functools.cache
def rendered(name: str) -> Overlay:
    """An overlay, rendered by kubectl once in a run."""
    answer = subprocess.run(  # noqa: S603 - our own tool and our own folder
        [Path(sys.executable).parent / "kubectl", "kustomize", ROOT / "k8s" / "overlays" / name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return Overlay(name, tuple(yaml.safe_load_all(answer.stdout)))


def pod_template(workload: Manifest) -> Manifest:
    """What the pods of a workload are made of."""
    spec = workload["spec"]
    template = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    assert isinstance(template, dict)
    return template


def pod_spec(workload: Manifest) -> Manifest:
    """What a workload runs."""
    spec = pod_template(workload)["spec"]
    assert isinstance(spec, dict)
    return spec


def the_container(workload: Manifest) -> Manifest:
    """The one container of a workload."""
    (container,) = pod_spec(workload)["containers"]
    assert isinstance(container, dict)
    return container


def config_type(service: str) -> type[ServiceConfig]:
    """The class of a service's settings."""
    module = importlib.import_module(f"{service}.config")
    found: type[ServiceConfig] = getattr(module, f"{service.capitalize()}Config")
    return found


def settable(service: str) -> Mapping[str, str]:
    """The variables that a service reads, with the field that each becomes."""
    return {field.upper(): field for field in config_type(service).model_fields}
