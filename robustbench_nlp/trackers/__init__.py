"""Where a finished run is logged to: one file is one experiment tracker, found by its file name."""
