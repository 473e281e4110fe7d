"""Telling people of alerts: who is told what, by which way, and that it arrives once."""
