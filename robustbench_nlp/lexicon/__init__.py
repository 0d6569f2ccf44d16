"""Word lists and tables, each a data file beside its look-up."""
