"""One message -> every listener, in few system calls."""
