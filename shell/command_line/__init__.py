"""Arguments, completion, key file, result file."""
