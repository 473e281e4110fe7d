"""A private Prometheus beside the mesh: it collects the figures of every service and replica."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from common.localstack import console, locate, probes
from common.localstack.program import Program
from common.localstack.services import Service
from common.localstack.settings import LOOPBACK, LocalSettings
from common.localstack.taken_ports import is_free

NAME = "prometheus"
JOB = "gridmesh"
MONITORING = Path("k8s/base/monitoring")
RULE_FILES = ("recording-rules.yaml", "alerting-rules.yaml")

CONSOLE = "gridmesh.html"

CONFIGURATION = """\
global:
  scrape_interval: 5s
  evaluation_interval: 5s
rule_files: {rule_files}
scrape_configs:
  - job_name: {job}
    file_sd_configs:
      - files: [targets.json]
"""


def left_out(settings: LocalSettings, environ: Mapping[str, str]) -> str | None:
    """Why there is no Prometheus beside the mesh, in one line with what to do; None where there can be one."""
    if locate.on_path(NAME, environ) is None:
        return (
            "Figures are not collected, for there is no Prometheus: `apt-get install -y prometheus`, and start again."
        )
    if not is_free(settings.ports.prometheus):
        # Debian's package starts one on this very port, and whoever has it needs no second one to run the mesh.
        return (
            f"Figures are not collected, for port {settings.ports.prometheus} is taken: end what listens there, as by "
            "`systemctl disable --now prometheus`, and start again."
        )
    return None


def program(settings: LocalSettings, environ: Mapping[str, str], services: Sequence[Service]) -> Program:
    """Writes the configuration, whom to ask and the page to look at, and returns the program.

    `left_out` must have said None.
    """
    folder = settings.run_dir / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration(settings.root))
    consoles = folder / "consoles"
    consoles.mkdir(exist_ok=True)
    (consoles / CONSOLE).write_text(console.page(settings.root / MONITORING / "dashboards"))
    (folder / "targets.json").write_text(json.dumps(targets(services), indent=2) + "\n")
    return Program(
        name=NAME,
        argv=(
            str(locate.on_path(NAME, environ)),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            # A day is what people look back on here, and a laptop's disk is small.
            *("--storage.tsdb.retention.time=1d", "--storage.tsdb.retention.size=256MB"),
            *(f"--web.console.templates={consoles}", f"--web.console.libraries={consoles}"),
            f"--web.listen-address={LOOPBACK}:{settings.ports.prometheus}",
            "--log.level=warn",
        ),
        environ=environ,
        folder=folder,
        address=f"{LOOPBACK}:{settings.ports.prometheus}",
        probe=partial(probes.http, LOOPBACK, settings.ports.prometheus, "/-/ready"),
        ready_limit_s=30.0,
        stop_limit_s=15.0,
    )


def configuration(root: Path) -> str:
    """The configuration, with the rules of the checkout at `root`."""
    rules = [root / MONITORING / name for name in RULE_FILES]
    return CONFIGURATION.format(job=JOB, rule_files=json.dumps([str(path) for path in rules if path.exists()]))


def targets(services: Sequence[Service]) -> list[dict[str, object]]:
    """Whom to ask: every process that serves figures, its service as the label `job`, as in a cluster.

    Workers are not among them: whoever has started them tells their figures on the service's own port.
    """
    return [
        {"targets": [f"{LOOPBACK}:{service.metrics_port}"], "labels": {"job": service.service}} for service in services
    ]


def address(settings: LocalSettings) -> str:
    """Where Prometheus answers, as a URL."""
    return f"http://{LOOPBACK}:{settings.ports.prometheus}"
