"""MP3 frames -> PCM: decode, conceal, splice, convert, resample."""
