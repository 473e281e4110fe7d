"""Readings off the queues: read as columns, and what each device does now by them."""
