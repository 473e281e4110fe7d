"""How large a message may be, for callers and servers alike."""

REQUEST_MAXIMUM_BYTES = 1 << 20
"""What a service takes from people, programs and devices."""

PARTS_MAXIMUM_BYTES = 4 << 20
"""What ingestion takes from the gateway: to a device's frame it adds intervals, times and the frames of Parts."""

ANSWER_MAXIMUM_BYTES = 16 << 20
"""What a caller takes."""
