"""The defenses: one file is one published defense, found by its file name."""
