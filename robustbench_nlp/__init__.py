"""Benchmarks the adversarial robustness of language models."""

__version__ = "0.1.0"
