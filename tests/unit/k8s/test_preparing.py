"""What is made before an upgrade, and that applying it first takes nothing else along."""

import runpy

import pytest

from tests.unit.k8s.manifests import ROOT, SERVICES, Manifest, Overlay, config_type, the_container

_STEP = {"gridmesh/step": "prepare"}


def first_step(overlay: Overlay) -> list[Manifest]:
    """What the runbook's selector applies before everything else."""
    return [each for each in overlay.manifests if _STEP.items() <= each["metadata"].get("labels", {}).items()]


def test_every_service_is_prepared_by_a_program_of_the_image(overlay: Overlay) -> None:
    """One after the other; queues last, for they are what may be refused and stop an upgrade."""
    module, *services = the_container(overlay.of_kind("CronJob")["prepare"])["args"]

    assert runpy.run_module(module, run_name="only-loaded")["main"]
    assert sorted(services) == sorted(SERVICES)
    assert services[-1] == "ingestion"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_prepared_with_the_settings_that_it_has(overlay: Overlay, service: str) -> None:
    """Of those that say where servers are, and how many partitions there are."""
    config = config_type(service).load(overlay.environment(the_container(overlay.of_kind("CronJob")["prepare"])))
    own = overlay.config(service)

    assert config.mongo_url == own.mongo_url or service == "ingestion"
    assert config.amqp_url == own.amqp_url or service == "gateway"
    assert config.partitions == own.partitions


def test_it_never_begins_by_itself_and_is_there_before_the_rest(overlay: Overlay) -> None:
    """Suspended, so that its form can change with each release; applied together with the settings it starts with."""
    prepared = overlay.of_kind("CronJob")["prepare"]
    settings = {source["configMapRef"]["name"] for source in the_container(prepared)["envFrom"]}

    assert prepared["spec"]["suspend"] is True
    assert {(each["kind"], each["metadata"]["name"]) for each in first_step(overlay)} == {
        ("CronJob", "prepare"),
        *(("ConfigMap", name) for name in settings),
    }


def test_an_upgrade_prepares_before_it_applies() -> None:
    """In the runbook's order, by the label that the manifests have, and it waits for the end."""
    page = (ROOT / "k8s/README.md").read_text()
    section = page.split("\n## Upgrade without loss\n")[1].split("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    kubectl")]

    steps = [
        next(number for number, command in enumerate(commands) if part in command)
        for part in (
            "apply -k k8s/overlays/prod --selector=gridmesh/step=prepare",
            "create job prepare-0.1.0 --from=cronjob/prepare",
            "wait job/prepare-0.1.0 --for=condition=Complete",
        )
    ]

    assert steps == sorted(steps)
    assert commands.index("kubectl apply -k k8s/overlays/prod") > steps[-1]
