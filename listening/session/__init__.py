"""Connect, stay, come back, leave."""
