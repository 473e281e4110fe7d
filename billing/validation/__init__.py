"""Validation, estimation and editing of readings, each a revision with who and why."""
