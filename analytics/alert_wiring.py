"""How alerts are put together: who sees, who writes, who ends, who tells, who is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from analytics.alert_service import AlertParts
from analytics.alerts.alert import Alert
from analytics.alerts.alert_book import AlertBook
from analytics.alerts.alert_codec import changed_event
from analytics.alerts.alert_desk import AlertDesk
from analytics.alerts.alert_feed import AlertFeed
from analytics.alerts.alert_metrics import OpenAlertMetrics
from analytics.alerts.alert_query_store import AlertQueryStore
from analytics.alerts.alert_rule import AlertRules
from analytics.alerts.alert_rule_store import AlertRuleStore
from analytics.alerts.alert_rules_in_force import RulesInForce
from analytics.alerts.alert_silencing import AlertSilencing
from analytics.alerts.alert_store import COLLECTION, AlertStore
from analytics.config import AnalyticsConfig
from analytics.consumer import QueueConsumer
from analytics.detection.alert_endings import AlertEndings
from analytics.detection.baseline_keeper import BaselineKeeper
from analytics.detection.baseline_store import BaselineStore
from analytics.detection.detection import Detection
from analytics.detection.detector import Detector
from analytics.detection.efficiency_sweep import EfficiencySweep
from analytics.detection.region_overload import OverloadWatch
from analytics.detection.silence_sweep import SilenceSweep
from analytics.notification_wiring import Notifications
from analytics.performance.performance_report import PerformanceReport
from analytics.retention_sweep import RetentionSweep
from analytics.stream.live_picture import LivePicture
from analytics.stream.unleased_devices import UnleasedDevices
from analytics.stream_metrics import StreamMetrics
from analytics.window_wiring import RegionLoads, Task, start_when_prepared
from common.broker import BrokerConnection
from common.event_outbox import EventOutbox
from common.lifecycle import Lifecycle
from common.mongo import Database
from common.partition_consumers import PartitionConsumers
from common.partition_sharing import PartitionSharing
from common.registry_cache import RegistryCache

# Writers that have nothing to tell say so every second.
_BLIND_MS = 5_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class StreamSight:
    """What this replica sees of the stream."""

    sharing: PartitionSharing[QueueConsumer]
    consumers: PartitionConsumers[QueueConsumer]
    unleased: UnleasedDevices
    now_ms: Callable[[], int]

    def sees_all(self) -> bool:
        """Whether every partition that it leases told something made just now."""
        running = self.consumers.running
        oldest_ms = self.now_ms() - _BLIND_MS
        is_whole = len(running) == len(self.sharing.leased)
        return is_whole and all(one.newest_create_ms >= oldest_ms for one in running)

    def unseen_among(self, device_ids: Iterable[str]) -> Collection[str]:
        """Those of some devices whose readings may come to another replica."""
        return frozenset(self.unleased.among(device_ids))


class Alerts:
    """The parts of alerts; opens nothing."""

    def __init__(
        self,
        config: AnalyticsConfig,
        database: Database,
        registry: RegistryCache,
        metrics_registry: CollectorRegistry,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._database = database
        self._registry = registry
        self._metrics_registry = metrics_registry
        self._now_ms = now_ms
        self._outbox: EventOutbox | None = None
        self.store = AlertStore(database)
        self.rule_store = AlertRuleStore(database)
        self.feed = AlertFeed(self.store, now_ms=now_ms)
        self.notifications = Notifications(
            config, database, self.store, metrics_registry, now_ms, open_alerts=lambda: self.feed.open
        )
        OpenAlertMetrics(metrics_registry, lambda: self.feed.open)
        self.rules = RulesInForce(self.rule_store, registry, changed=self._use_rules, now_ms=now_ms)
        self.desk = AlertDesk(
            self.store,
            metrics_registry,
            hold_ms=self.rules.hold_ms,
            silence_of=self.rules.silence_of,
            told=self._told,
            now_ms=now_ms,
        )
        self.silencing = AlertSilencing(
            self.store, self.rules, open_alerts=lambda: self.feed.open, changed=self._changed, now_ms=now_ms
        )
        self.detector = Detector(registry.get, self.desk, timely_within_ms=int(1000 * config.alerts_timely_seconds))
        self.detection = Detection(self.detector, self.desk, metrics_registry)

    def parts(self) -> AlertParts:
        """What answers questions about alerts."""
        return AlertParts(
            AlertBook(self.store, changed=self._changed, now_ms=self._now_ms),
            AlertQueryStore(self._database),
            self.feed,
            self.rule_store,
            self.rules,
        )

    async def prepare(self) -> None:
        """Makes the indexes of the stores."""
        await self.store.prepare()
        await self.rule_store.prepare()

    def start(
        self,
        lifecycle: Lifecycle,
        picture: LivePicture,
        sight: StreamSight,
        *,
        loads: RegionLoads,
        performance: PerformanceReport,
        broker: BrokerConnection,
    ) -> None:
        """Starts what runs in the background, once the stores are prepared."""
        # Beside what goes blind by it.
        StreamMetrics(self._metrics_registry, sight.consumers, sight.now_ms)
        lifecycle.on_drain("alert_feed", self.feed.close)
        self.notifications.start(lifecycle)
        tasks = self._tasks(picture, sight, loads=loads, performance=performance, broker=broker)
        lifecycle.start_task("prepare_alerts", start_when_prepared(lifecycle, self, tasks))

    def _tasks(
        self,
        picture: LivePicture,
        sight: StreamSight,
        *,
        loads: RegionLoads,
        performance: PerformanceReport,
        broker: BrokerConnection,
    ) -> Mapping[str, Task]:
        outbox = self._outbox = EventOutbox(self._database, COLLECTION, changed_event, broker, self._metrics_registry)
        sweep = SilenceSweep(
            self._registry,
            picture,
            sight,
            self.desk,
            rules=self.rules.rules,
            known_alerts=self._known_alerts,
            now_ms=self._now_ms,
        )
        overload = OverloadWatch(
            loads.feed,
            loads.stores.windows,
            self.desk,
            rules=self.rules.rules,
            known_alerts=self._known_alerts,
            now_ms=self._now_ms,
        )
        efficiency = EfficiencySweep(
            self._registry.devices,
            picture,
            performance,
            self.desk,
            links=self._registry.links_of_vehicle,
            find_device=self._registry.get,
            unseen_among=sight.unseen_among,
            rules=self.rules.rules,
            known_alerts=self._known_alerts,
            now_ms=self._now_ms,
        )
        endings = AlertEndings(
            self.desk, self.detector, self._registry, rules=self.rules.rules, known_alerts=self._known_alerts
        )
        baselines = BaselineKeeper(
            self.detector, BaselineStore(self._database), sight.sharing, self._config.baseline_save_seconds
        )
        retention = RetentionSweep(
            self.store,
            loads.stores.windows,
            loads.stores.hours,
            self._metrics_registry,
            alerts_kept_ms=_days_ms(self._config.alert_retention_days),
            windows_kept_ms=_days_ms(self._config.region_window_retention_days, margin_days=1),
            now_ms=self._now_ms,
        )
        return {
            "retention": retention.run,
            "alert_rules": self.rules.run,
            "alert_feed": self.feed.run,
            "alert_events": outbox.run,
            "alert_endings": endings.run,
            "alert_silencing": self.silencing.run,
            "silence_sweep": sweep.run,
            "overload_watch": overload.run,
            "efficiency_sweep": efficiency.run,
            "baselines": baselines.run,
        }

    async def _use_rules(self, rules: AlertRules) -> None:
        await self.detector.use_rules(rules)

    def _known_alerts(self) -> Mapping[str, Alert] | None:
        return self.feed.known if self.feed.is_known else None

    def _changed(self, alert: Alert) -> None:
        self.desk.count(alert)
        self._told()

    def _told(self) -> None:
        self.feed.notify()
        self.notifications.planner.notify()
        if self._outbox is not None:
            self._outbox.notify()


def _days_ms(days: int | None, margin_days: int = 0) -> int | None:
    return None if days is None else (days + margin_days) * _DAY_MS
