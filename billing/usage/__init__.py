"""Answers about what devices measured and used, summed up in the database."""
