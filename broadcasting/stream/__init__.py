"""Segments -> numbered, packed, timed messages."""
