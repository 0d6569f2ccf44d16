"""What adds nothing to a text's meaning: the tautologies of Naik et al. (2018) by the weakness that each goes for."""

from __future__ import annotations

__all__ = ["TAUTOLOGIES"]

TAUTOLOGIES = {
    "overlap": "and true is true",
    "negation": "and false is not true",
    "length": " ".join(["and true is true"] * 5),
}
