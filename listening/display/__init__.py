"""Counts of the client -> screen, table, JSON, page."""
