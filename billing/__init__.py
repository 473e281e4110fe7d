"""Billing keeps the readings at rest and turns them into usage, prices and bills."""
