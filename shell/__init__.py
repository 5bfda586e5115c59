"""What both entry points share: arguments, logs, sockets, signals, the terminal. I/O only."""
