"""The log: batches off the queues, written whole and once, and how far each partition is on record."""
