"""Each alert fires when it should, says what a person needs to know, and stays quiet when it should not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.monitoring import cluster_incidents, consumer_incidents, service_incidents
from tests.integration.monitoring.calms import CALMS as CALMS_OF_SERVICES
from tests.integration.monitoring.promtool import UNKNOWN, Calm, Incident, program, try_calm, try_incident, try_recorded
from tests.unit.monitoring.rules import RULE_FILES, alerts

INCIDENTS = (
    *service_incidents.SERVICES,
    *service_incidents.INGEST,
    *consumer_incidents.CONSUMERS,
    *consumer_incidents.BOOKS,
    *cluster_incidents.INCIDENTS,
)
CALMS = (*CALMS_OF_SERVICES, *cluster_incidents.CALMS)


def test_prometheus_takes_the_rule_files() -> None:
    """And finds nothing to complain of."""
    answer = subprocess.run(  # noqa: S603 - Prometheus' own tool on our own files
        [program(), "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.alert)
def test_an_alert_fires_once_it_has_lasted(incident: Incident, tmp_path: Path) -> None:
    """Not before, and no longer than it lasts."""
    assert try_incident(incident, tmp_path) == ""


@pytest.mark.parametrize("calm", CALMS, ids=lambda calm: f"{calm.alert}: {calm.why}")
def test_an_alert_stays_quiet_at(calm: Calm, tmp_path: Path) -> None:
    """What looks like an incident and is none."""
    assert try_calm(calm, tmp_path) == ""


def test_every_alert_is_tried_both_ways() -> None:
    """With something that it is for, and with something that it is not for."""
    assert {incident.alert for incident in INCIDENTS} == alerts().keys()
    assert {calm.alert for calm in CALMS} == alerts().keys()


def test_promtool_tells_an_alert_that_should_have_fired(tmp_path: Path) -> None:
    """An incident that is none is not passed over, so that these tests can fail."""
    incident = next(one for one in INCIDENTS if one.alert == "ServiceDown")
    nothing = Incident(incident.alert, dict.fromkeys(incident.series, "1x120"), "1m", "3m30s", incident.firing)

    assert "FAILED" in try_incident(nothing, tmp_path)


def test_what_waits_is_in_queues_and_hands_and_told_by_several_counts_once(tmp_path: Path) -> None:
    """Two processes of ingestion tell the same; analytics is away and has nothing in hand."""
    queue = "ingestion_queue_ready_messages"
    series = {
        f'{queue}{{job="ingestion",instance="{instance}",queue_service="{service}",partition="{partition}"}}': "7x40"
        for instance in ("i-1", "i-2")
        for service in ("billing", "analytics")
        for partition in (0, 1)
    }
    series |= {f'deliveries_in_hand{{job="billing",instance="{instance}"}}': "3x40" for instance in ("b-1", "b-2")}

    expected = {
        "queue_service:queue_messages:sum": {
            'queue_service:queue_messages:sum{queue_service="billing"}': 14 + 6,
            'queue_service:queue_messages:sum{queue_service="analytics"}': 14,
        }
    }

    assert try_recorded(series, "5m", expected, tmp_path) == ""


def test_a_method_without_errors_has_the_ratio_nought_and_one_that_nobody_calls_has_none(tmp_path: Path) -> None:
    """A division by no call at all is no figure."""
    name = "grpc_server_handled_total"
    series = {
        f'{name}{{job="billing",method="/u/List",code="OK"}}': "0+10x60",
        f'{name}{{job="billing",method="/u/Get",code="OK"}}': "0+30x60",
        f'{name}{{job="billing",method="/u/Get",code="INTERNAL"}}': "0+10x60",
        f'{name}{{job="billing",method="/u/Old",code="OK"}}': "10x60",
    }
    ratio = "job_method:grpc_server_errors:ratio_rate5m"

    expected = {
        ratio: {
            f'{ratio}{{job="billing",method="/u/List"}}': 0.0,
            f'{ratio}{{job="billing",method="/u/Get"}}': 0.25,
        }
    }

    assert try_recorded(series, "10m", expected, tmp_path) == ""


def test_the_lag_of_a_consumer_is_that_of_its_slowest_partition(tmp_path: Path) -> None:
    """Whichever replica has it."""
    series = {
        'billing_complete_through_lag_seconds{job="billing",instance="b-1",partition="0"}': "1x40",
        'billing_complete_through_lag_seconds{job="billing",instance="b-2",partition="1"}': "9x40",
        'billing_complete_through_lag_seconds{job="billing",instance="b-2",partition="2"}': UNKNOWN,
        'analytics_newest_batch_age_seconds{job="analytics",instance="a-1",partition="0"}': "2x40",
    }
    lag = "job:consumer_lag_seconds:max"

    expected = {lag: {f'{lag}{{job="billing"}}': 9.0, f'{lag}{{job="analytics"}}': 2.0}}

    assert try_recorded(series, "5m", expected, tmp_path) == ""
