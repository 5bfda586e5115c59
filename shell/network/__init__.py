"""UDP sockets and mDNS."""
