"""The attacks: one file is one published attack, found by its file name."""
