"""Datagrams of listeners -> who is registered, and what each is still owed."""
