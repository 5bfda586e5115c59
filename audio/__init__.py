"""MPEG audio frame headers."""
