"""Status pages of the server: for people, for scripts, for Prometheus."""
