"""How notifications are put together: who plans, who sends, by which ways, and who is asked."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from analytics.alerts.alert import Alert
from analytics.alerts.alert_store import AlertStore
from analytics.config import AnalyticsConfig
from analytics.notification_service import NotificationService, NotificationStores
from analytics.notifications.allowed_networks import networks_of
from analytics.notifications.allowed_resolver import AllowedResolver
from analytics.notifications.courier import Courier
from analytics.notifications.delivery_store import DeliveryStore
from analytics.notifications.email_sender import EmailSender, MailServer
from analytics.notifications.escalation import Escalation
from analytics.notifications.file_outbox import FileOutbox
from analytics.notifications.http_post import open_session
from analytics.notifications.notification_store import NotificationStore
from analytics.notifications.planner import NotificationPlanner
from analytics.notifications.preferences import Channel
from analytics.notifications.preferences_store import PreferencesStore
from analytics.notifications.sender import Sender
from analytics.notifications.sms_sender import SmsSender
from analytics.notifications.webhook_sender import WebhookSender
from analytics.window_wiring import start_when_prepared
from common.lifecycle import Lifecycle
from common.mongo import Database


class Notifications:
    """The parts of notifications; opens nothing."""

    def __init__(
        self,
        config: AnalyticsConfig,
        database: Database,
        alerts: AlertStore,
        metrics_registry: CollectorRegistry,
        now_ms: Callable[[], int],
        *,
        open_alerts: Callable[[], Mapping[str, Alert]],
    ) -> None:
        kept = timedelta(days=config.notification_retention_days)
        self._config = config
        self._metrics_registry = metrics_registry
        self._now_ms = now_ms
        self._courier: Courier | None = None
        self.stores = NotificationStores(
            PreferencesStore(database), NotificationStore(database, kept), DeliveryStore(database, kept)
        )
        self.planner = NotificationPlanner(
            alerts,
            self.stores.preferences,
            self.stores.notifications,
            self.stores.deliveries,
            repeat_ms=int(1000 * config.notification_repeat_seconds),
            escalation_ms=int(1000 * config.alert_escalation_seconds),
            planned=self._planned,
            now_ms=now_ms,
        )
        self.escalation = Escalation(
            open_alerts,
            self.planner.escalate,
            step_ms=int(1000 * config.alert_escalation_seconds),
            now_ms=now_ms,
        )
        self.service = NotificationService(self.stores, planned=self._planned, now_ms=now_ms)

    async def prepare(self) -> None:
        """Makes the indexes of the stores."""
        await self.stores.preferences.prepare()
        await self.stores.notifications.prepare()
        await self.stores.deliveries.prepare()

    def start(self, lifecycle: Lifecycle) -> None:
        """Starts what plans and sends, once the stores are prepared."""
        courier = self._courier = Courier(
            self.stores.deliveries,
            self.stores.preferences,
            senders(self._config, lifecycle, self._now_ms),
            self._metrics_registry,
            retry_ms=int(1000 * self._config.notification_retry_seconds),
            now_ms=self._now_ms,
        )
        lifecycle.on_drain("notifications", courier.close)
        tasks = {
            "notification_planner": self.planner.run,
            "notification_courier": courier.run,
            "alert_escalation": self.escalation.run,
        }
        lifecycle.start_task("prepare_notifications", start_when_prepared(lifecycle, self, tasks))

    def _planned(self) -> None:
        if self._courier is not None:
            self._courier.notify()


def senders(config: AnalyticsConfig, lifecycle: Lifecycle, now_ms: Callable[[], int]) -> Mapping[Channel, Sender]:
    """The way of each channel: what is set, else files."""
    files = FileOutbox(Path(config.notification_outbox_folder))
    ways: dict[Channel, Sender] = dict.fromkeys(Channel, files)
    tls = ssl.create_default_context()
    if config.smtp_host:
        server = MailServer(
            host=config.smtp_host,
            port=config.smtp_port,
            sender_address=config.smtp_from,
            username=config.smtp_username,
            password=config.smtp_password.get_secret_value(),
            tls=None if config.smtp_insecure_plaintext else tls,
            is_tls_implicit=config.smtp_implicit_tls,
        )
        ways[Channel.EMAIL] = EmailSender(server)
    if config.webhooks_enabled:
        allowed = networks_of(config.webhook_allowed_networks)
        session = open_session(tls, AllowedResolver(allowed))
        lifecycle.on_close("webhooks", session.close)
        ways[Channel.WEBHOOK] = WebhookSender(session, allowed, now_ms=now_ms)
    if config.sms_provider_url:
        session = open_session(tls)
        lifecycle.on_close("sms_provider", session.close)
        ways[Channel.SMS] = SmsSender(session, config.sms_provider_url, config.sms_provider_token.get_secret_value())
    return ways
