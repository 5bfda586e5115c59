"""What was typed -> segments of whole MP3 frames."""
