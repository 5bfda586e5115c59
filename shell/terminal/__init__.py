"""Live screen and plain lines, keys, colours, tables, text."""
