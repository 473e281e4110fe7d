"""The image's recipe, and its steps as far as they go without a container engine."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.k8s.manifests import ROOT, SERVICES, Overlay, config_type, pod_spec

_RECIPE = (ROOT / "Dockerfile").read_text()
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PACKAGES: list[str] = _PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def stage(name: str) -> str:
    """The steps of a stage, each on a line of its own."""
    text = re.sub(r"^#.*\n", "", _RECIPE, flags=re.MULTILINE).replace("\\\n", " ")
    return re.split(r"^FROM .* AS ", text, flags=re.MULTILINE)[["", "build", "mesh"].index(name)]


def copied() -> dict[str, str]:
    """What is copied from the checkout, with where it goes."""
    return dict(re.findall(r"^COPY (\S+?)/? (\S+?)/?$", stage("build"), re.MULTILINE))


def test_the_recipe_is_clean() -> None:
    """By the linter, without exceptions."""
    answer = subprocess.run(  # noqa: S603 - our own tool and our own file
        [Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (answer.returncode, answer.stdout) == (0, "")
    assert "hadolint ignore" not in _RECIPE


def test_the_packages_of_the_project_are_copied_and_nothing_else() -> None:
    """Those of its wheel, to where they are imported from."""
    assert copied() == {"requirements.lock": "."} | {path: f"app/{Path(path).name}" for path in _PACKAGES}


def test_nothing_else_reaches_the_build() -> None:
    """The build context is empty but for what is copied, and has no bytecode."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied().keys()
    assert lines[-2:] == ["**/__pycache__", "**/*.pyc"]


def test_dependencies_come_from_the_lock_by_their_hashes() -> None:
    """As wheels, so no compiler is needed, and only in the stage that is thrown away."""
    (install,) = re.findall(r"pip .*?install ([^&]*)", stage("build"))

    assert {"--require-hashes", "--only-binary", ":all:", "requirements.lock"} <= set(install.split())
    assert "install" not in stage("mesh").replace("uninstall", "")


def test_the_base_is_one_exact_version_that_the_project_runs_on() -> None:
    """The same for both stages; a digest may take its place."""
    (version,) = re.findall(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)\.\d+-slim-[a-z]+$", _RECIPE, re.MULTILINE)

    assert re.findall(r"^FROM (\S+)", _RECIPE, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
    assert f">={version}" in _PROJECT["project"]["requires-python"]


def test_the_image_runs_as_the_user_that_the_pods_have(overlay: Overlay) -> None:
    """A number that is not root's."""
    (user,) = re.findall(r"^USER (\S+)$", stage("mesh"), re.MULTILINE)
    contexts = [pod_spec(overlay.of_kind("Deployment")[service])["securityContext"] for service in SERVICES]

    assert {f"{each['runAsUser']}:{each['runAsGroup']}" for each in contexts} == {user}


def test_the_image_says_its_version_and_ports() -> None:
    """Those of the project and of its services."""
    defaults = [config_type(service).load({}) for service in SERVICES]

    assert f"ARG VERSION={_PROJECT['project']['version']}\n" in _RECIPE
    (exposed,) = re.findall(r"^EXPOSE (.*)$", _RECIPE, re.MULTILINE)
    assert set(map(int, exposed.split())) == {
        port for default in defaults for port in (default.grpc_port, default.metrics_port)
    }
    assert 'ENTRYPOINT ["python", "-m"]' in _RECIPE


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the recipe copies, where it copies it to, without a right to write anywhere in it."""
    root = tmp_path_factory.mktemp("image")
    for source, target in copied().items():
        if target.startswith("app"):
            shutil.copytree(ROOT / source, root / target, ignore=shutil.ignore_patterns("__pycache__"))
    (step,) = re.findall(r"-m (compileall .*?) &&", stage("build"))
    subprocess.run([sys.executable, "-m", *step.split()], cwd=root, check=True)  # noqa: S603 - our own step
    everything = [root, *root.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root / "app"
    for path in everything:
        path.chmod(0o755)


def _environment(service: str, tree: Path, overlay: Overlay) -> dict[str, str]:
    image = {
        name: value.replace("/opt/gridmesh/app", str(tree))
        for name, value in re.findall(r"(PYTHON\w+)=(\S+)", stage("mesh"))
    }
    away = {"MONGO_URL": "mongodb://127.0.0.1:1", "AMQP_URL": "amqp://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1"}
    here = {"BIND_HOST": "127.0.0.1", "GRPC_PORT": "0", "METRICS_PORT": "0"}
    peers = dict.fromkeys(("GATEWAY_ADDRESS", "INGESTION_ADDRESS", "BILLING_ADDRESS"), "127.0.0.1:1")
    return image | overlay.environment(overlay.service_container(service)) | away | here | peers


def _started_and_ended(service: str, tree: Path, environ: dict[str, str]) -> tuple[bool, int]:
    # Root could write everywhere; without its capabilities it is like anybody.
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
        [*unprivileged, sys.executable, "-m", service],
        env=environ,
        cwd=tree.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        started = any("grpc_server_started" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    return started, process.returncode


def test_each_service_starts_and_ends_in_a_tree_that_nobody_may_write(tree: Path, dev: Overlay) -> None:
    """By the image's entry point and variables and the pod's settings, while every server is away."""
    before = set(tree.rglob("*"))
    environs = [_environment(service, tree, dev) for service in SERVICES]

    with ThreadPoolExecutor(len(SERVICES)) as pool:
        ends = list(pool.map(_started_and_ended, SERVICES, [tree] * len(SERVICES), environs))

    assert ends == [(True, 0)] * len(SERVICES)
    assert set(tree.rglob("*")) == before
