"""What goes wrong with jobs, servers and volumes of a cluster, and what only looks like it.

Values are 15 seconds apart, so four of them are a minute.
"""

from __future__ import annotations

from tests.integration.monitoring.promtool import Calm, Firing, Incident

_BACKUP = {"namespace": "gridmesh-servers", "cronjob": "mongodb-backup"}
_RUN = {"namespace": "gridmesh", "cronjob": "billing-run"}
_STORE = {"namespace": "gridmesh-servers", "statefulset": "mongodb"}
_BROKER = {"namespace": "gridmesh-servers", "statefulset": "rabbitmq"}
_NODE = {"job": "rabbitmq", "instance": "rabbitmq-1"}
_CLAIM = {"namespace": "gridmesh-servers", "persistentvolumeclaim": "data-mongodb-1"}
_DAY_SECONDS = 86_400


def _series(name: str, **labels: str) -> str:
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{told}}}"


def _left(percent: int, claim: str = "data-mongodb-1") -> dict[str, str]:
    labels = {"namespace": "gridmesh-servers", "persistentvolumeclaim": claim, "node": "n-1"}
    return {
        _series("kubelet_volume_stats_available_bytes", **labels): f"{percent}0000000000x130",
        _series("kubelet_volume_stats_capacity_bytes", **labels): "1000000000000x130",
    }


def _members(ready: str, labels: dict[str, str]) -> dict[str, str]:
    return {
        _series("kube_statefulset_replicas", **labels): "3x130",
        _series("kube_statefulset_status_replicas_ready", **labels): ready,
    }


INCIDENTS = (
    Incident(
        "JobFailed",
        {
            _series(
                "kube_job_failed", namespace="gridmesh-servers", job_name="mongodb-backup-1", condition="true"
            ): "0x8 1x100"
        },
        "2m30s",
        "4m",
        [
            Firing(
                {"namespace": "gridmesh-servers", "job_name": "mongodb-backup-1"},
                "mongodb-backup-1 in gridmesh-servers has failed; its log says why.",
            )
        ],
    ),
    Incident(
        "JobOverdue",
        {_series("kube_cronjob_status_last_successful_time", **_BACKUP): f"{-_DAY_SECONDS * 3 // 2 + 600}x120"},
        "15m",
        "21m",
        [Firing(_BACKUP, "mongodb-backup has last succeeded 1d 12h 11m 0s ago, if ever.")],
    ),
    Incident(
        "JobOverdue",
        {_series("kube_cronjob_created", **_BACKUP): f"{-2 * _DAY_SECONDS}x120"},
        "9m",
        "11m",
        [Firing(_BACKUP, "mongodb-backup has last succeeded 2d 0h 11m 0s ago, if ever.")],
    ),
    Incident(
        "JobOverdue",
        {_series("kube_cronjob_status_last_successful_time", **_RUN): f"{-34 * _DAY_SECONDS}x120"},
        "9m",
        "11m",
        [Firing(_RUN, "billing-run has last succeeded 34d 0h 11m 0s ago, if ever.")],
    ),
    Incident(
        "MemberMissing",
        {**_members("3x8 2x100", _STORE), **_members("3x120", _BROKER)},
        "16m",
        "18m",
        [Firing(_STORE, "1 of mongodb have not been ready for a quarter of an hour.")],
    ),
    Incident(
        "MajorityMissing",
        {**_members("3x8 1x20 3x100", _BROKER), **_members("2x130", _STORE)},
        "3m",
        "3m45s",
        [Firing(_BROKER, "Half or fewer of rabbitmq have been ready for a minute.")],
        "8m",
    ),
    Incident(
        "BrokerBlocksPublishers",
        {_series("rabbitmq_alarms_memory_used_watermark", **_NODE): "0x8 1x20 0x100"},
        "3m",
        "3m45s",
        [
            Firing(
                {"job": "rabbitmq"},
                "rabbitmq has had an alarm for a minute; rabbitmqctl status says of what and where.",
            )
        ],
        "8m",
    ),
    Incident(
        "BrokerBlocksPublishers",
        {_series("rabbitmq_alarms_free_disk_space_watermark", **_NODE): "0x8 1x100"},
        "3m",
        "3m45s",
        [
            Firing(
                {"job": "rabbitmq"},
                "rabbitmq has had an alarm for a minute; rabbitmqctl status says of what and where.",
            )
        ],
    ),
    Incident(
        "BrokerMemoryShort",
        {
            _series("rabbitmq_process_resident_memory_bytes", **_NODE): "300000000x8 900000000x100",
            _series("rabbitmq_resident_memory_limit_bytes", **_NODE): "1000000000x120",
        },
        "7m",
        "8m",
        [Firing(_NODE, "rabbitmq-1 takes 90% of what it may.")],
    ),
    Incident(
        "BrokerDiskShort",
        {
            _series("rabbitmq_disk_space_available_bytes", **_NODE): "20000000000x8 6442450944x100",
            _series("rabbitmq_disk_space_available_limit_bytes", **_NODE): "4000000000x120",
        },
        "7m",
        "8m",
        [Firing(_NODE, "rabbitmq-1 has 6GiB left, less than twice its limit.")],
    ),
    Incident("VolumeFilling", _left(15), "14m", "16m", [Firing(_CLAIM, "15% of data-mongodb-1 is left.")]),
)

CALMS = (
    Calm(
        "JobFailed",
        "one that has succeeded, and one of somebody else",
        {
            _series("kube_job_failed", namespace="gridmesh", job_name="billing-run-1", condition="false"): "1x130",
            _series("kube_job_failed", namespace="gridmesh", job_name="billing-run-2", condition="true"): "0x130",
            _series("kube_job_failed", namespace="elsewhere", job_name="theirs", condition="true"): "1x130",
        },
    ),
    Calm(
        "JobOverdue",
        "last night, the month before, and a cluster that is new",
        {
            _series("kube_cronjob_status_last_successful_time", **_BACKUP): f"{-_DAY_SECONDS}x130",
            _series("kube_cronjob_created", **_BACKUP): f"{-90 * _DAY_SECONDS}x130",
            _series("kube_cronjob_created", **_RUN): f"{-31 * _DAY_SECONDS}x130",
        },
    ),
    Calm("MemberMissing", "a restart of ten minutes", _members("3x8 2x40 3x100", _STORE), ("12m", "16m", "18m", "29m")),
    Calm("MajorityMissing", "one of three", _members("2x130", _BROKER)),
    Calm(
        "BrokerBlocksPublishers",
        "an alarm of half a minute",
        {_series("rabbitmq_alarms_memory_used_watermark", **_NODE): "0x8 1x2 0x130"},
        ("2m30s", "3m", "3m30s", "5m"),
    ),
    Calm(
        "BrokerMemoryShort",
        "three quarters of it",
        {
            _series("rabbitmq_process_resident_memory_bytes", **_NODE): "750000000x130",
            _series("rabbitmq_resident_memory_limit_bytes", **_NODE): "1000000000x130",
        },
    ),
    Calm(
        "BrokerDiskShort",
        "as much as all queues leave when they are full",
        {
            _series("rabbitmq_disk_space_available_bytes", **_NODE): "8100000000x130",
            _series("rabbitmq_disk_space_available_limit_bytes", **_NODE): "4000000000x130",
        },
    ),
    Calm("VolumeFilling", "a quarter that is left", _left(25)),
    Calm("VolumeFilling", "the backups, of which the oldest go", _left(5, "mongodb-backups")),
)
