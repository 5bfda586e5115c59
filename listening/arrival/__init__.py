"""Datagrams -> messages in order on a timeline: jitter buffer, repair, parity."""
