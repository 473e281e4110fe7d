"""The prices of regions, which follow their load, and what devices pay that follow these."""
