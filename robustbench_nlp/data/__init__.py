"""Datasets: examples, splits and their sources."""
