"""Counts of the server -> screen, table, JSON, page, metrics."""
