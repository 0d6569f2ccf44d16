"""Candidate makers shared by attacks: edits of one word or one text."""
