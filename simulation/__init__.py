"""A link that loses, delays and reorders: for --simulate, tests and measurements."""
