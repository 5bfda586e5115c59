"""What the two front doors share: arguments, the log, sockets, signals. Only I/O and words."""
