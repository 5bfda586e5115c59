"""Signals, threads, timers, children, log, memory."""
