"""Tells operators what the grid does now and how well vehicles charge."""
