"""Ingestion: makes accepted readings durable in the queues of every consuming service, and only then says so."""
