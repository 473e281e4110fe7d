"""That the steps of the pages for operators stand in an order in which none waits for ever or comes too late."""

import re

from tests.unit.k8s.manifests import ROOT, Overlay

_RUNBOOK = "".join((ROOT / "k8s" / name).read_text() for name in ("README.md", "RESTORE.md"))


def test_the_job_of_the_replica_set_goes_before_each_later_apply() -> None:
    """While it is there it can neither be changed nor run again; only the first deploy finds none."""
    commands = [line.strip() for line in _RUNBOOK.splitlines()]
    applied = [
        number for number, command in enumerate(commands) if command == "kubectl apply -k k8s/overlays/prod-inside"
    ]

    assert [commands[number - 1] for number in applied[1:]] == [
        "kubectl -n gridmesh-servers delete job/mongodb-replica-set --ignore-not-found"
    ] * 3


def test_a_lost_node_is_given_up_before_what_was_on_it() -> None:
    """Else each of the commands after it waits for a kubelet that never answers; and no claim is waited for."""
    section = _RUNBOOK.split("\n## A node of the broker is lost\n")[1].split("\n## ")[0]
    steps = [
        "kubectl delete node NODE",
        "forget_cluster_node",
        "delete pvc/data-rabbitmq-2 --wait=false",
        "delete pod/",
    ]

    assert sorted(steps, key=section.index) == steps


def test_a_dry_run_comes_after_the_namespaces() -> None:
    """Which it does not make."""
    assert _RUNBOOK.index("kubectl apply -f k8s/base/namespace.yaml") < _RUNBOOK.index("--dry-run=server")


def test_a_restore_begins_by_suspending_what_the_calendar_starts(prod: Overlay, servers: Overlay) -> None:
    """Each job that runs by itself, before anything is dropped; and lets them run again at the end."""
    page = (ROOT / "k8s/RESTORE.md").read_text()
    by_calendar = {
        name
        for part in (prod, servers)
        for name, each in part.of_kind("CronJob").items()
        if not each["spec"].get("suspend", False)
    }

    before, after = page.split("db.dropDatabase()")

    assert set(re.findall(r"patch cronjob/(\S+) .*\"suspend\": true", before)) == by_calendar
    assert set(re.findall(r"patch cronjob/(\S+) .*\"suspend\": false", after)) == by_calendar
