"""Reads YAML settings that may come from anybody: plain values, no tags, no aliases that make much of little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from robustbench_nlp.errors import UsageError

__all__ = ["MOST_CHARACTERS", "plain_yaml", "read_settings"]

MOST_CHARACTERS = 1_000_000


class _Plain(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read here; write the value out")
        return super().compose_node(parent, index)


def plain_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping that the text holds. Raises `UsageError` for what is no YAML, no mapping, or too large."""
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"{where} has {len(text):,} characters; settings are shorter than {MOST_CHARACTERS:,}")
    try:
        content = _Plain(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, KeyError) as problem:
        told = "it is nested too deeply" if isinstance(problem, RecursionError) else " ".join(str(problem).split())
        raise UsageError(f"{where} is not YAML: {told}") from problem
    if not isinstance(content, dict):
        raise UsageError(f"{where} holds no settings; write lines such as 'dataset: mr'")
    return {str(key): value for key, value in content.items()}


def read_settings(path: Path, where: str = "") -> dict[str, Any]:
    """The mapping in a file; `where` is what messages call it. Raises `UsageError`, also where it can't be read."""
    where = where or str(path)
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        raise UsageError(f"{where} is not YAML: {problem}") from problem
    except (OSError, ValueError) as problem:  # a path may hold what no path can
        raise UsageError(f"cannot read {where}: {getattr(problem, 'strerror', None) or problem}") from problem
    return plain_yaml(text, where)
