"""What analytics needs of its store before it keeps windows, alerts and notifications."""

from __future__ import annotations

from datetime import timedelta

from analytics.alerts.alert_rule_store import AlertRuleStore
from analytics.alerts.alert_store import AlertStore
from analytics.config import AnalyticsConfig
from analytics.notifications.delivery_store import DeliveryStore
from analytics.notifications.notification_store import NotificationStore
from analytics.notifications.preferences_store import PreferencesStore
from analytics.window_wiring import window_stores
from common.lease_store import LeaseStore
from common.preparation import patient_database


async def prepare(config: AnalyticsConfig) -> None:
    """Makes every index; harmless when they are there.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or has another index by the same name.
    """
    kept = timedelta(days=config.notification_retention_days)
    async with patient_database(config.mongo_url.get_secret_value(), config.mongo_database) as database:
        for store in (
            LeaseStore(database, "analytics"),
            window_stores(database),
            AlertStore(database),
            AlertRuleStore(database),
            PreferencesStore(database),
            NotificationStore(database, kept),
            DeliveryStore(database, kept),
        ):
            await store.prepare()
