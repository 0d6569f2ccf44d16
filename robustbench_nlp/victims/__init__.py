"""What can be attacked: one file is one kind of victim, found by its file name."""
