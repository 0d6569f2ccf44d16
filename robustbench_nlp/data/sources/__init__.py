"""Where datasets come from: one file is one source, found by its file name."""
