"""The gateway: takes readings from devices, checks them, and answers once they are durable; keeps the registry."""
