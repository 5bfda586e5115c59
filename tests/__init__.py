"""Tests. Logic runs in virtual time; sockets, sound and terminals are real ones."""
