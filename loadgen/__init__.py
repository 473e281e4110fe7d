"""A reproducible fleet of devices, readers of real files, and the client that sends both to the gateway."""
