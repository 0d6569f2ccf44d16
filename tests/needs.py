"""What some tests need and an environment may lack."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

__all__ = ["textattack"]

textattack = pytest.mark.skipif(
    find_spec("textattack") is None, reason="needs TextAttack, which isn't installed (it rules out transformers 5)"
)
