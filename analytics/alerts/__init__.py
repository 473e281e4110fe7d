"""Alerts as they rest: one open of a cause, by rules that are data, silenced or not."""
