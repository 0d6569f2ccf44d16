"""Robustness gates for pytest: bounds, comparisons with a baseline, and what they tell. `pytest_plugin` has the hooks."""

from __future__ import annotations

from robustbench_nlp.gates.gate import Gate, InconclusiveGate

__all__ = ["Gate", "InconclusiveGate"]
