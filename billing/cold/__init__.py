"""Readings folded by device and span, the roll-ups of their days, and what is set aside instead."""
