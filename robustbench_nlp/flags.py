"""How the values of `run` and `certify` are read, from flags and from a file: one meaning for both.

Functions are click callbacks; `train` and `label_map` are options that the commands share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robustbench_nlp.errors import unknown
from robustbench_nlp.plugins import split_list

__all__ = ["label_map", "listed", "pairs", "read_file", "train"]


def listed(context: click.Context, parameter: click.Parameter, value: Any) -> list[str] | None:
    """Selectors separated by commas, where commas in parentheses separate nothing; in a file also a list."""
    if value is None:
        return None
    if isinstance(value, list):
        return [str(item) for item in value]
    return split_list(str(value))


def pairs(context: click.Context, parameter: click.Parameter, value: Any) -> dict[str, str] | None:
    """NAME=NAME,…; in a file also a mapping."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {str(key): str(name) for key, name in value.items()}
    parts = [[part.strip() for part in item.partition("=")[::2]] for item in str(value).split(",")]
    if not all(key and name for key, name in parts):
        raise click.BadParameter(f"cannot read '{value}'; write VICTIM_LABEL=DATASET_LABEL,…")
    return dict(parts)


def read_file(context: click.Context, parameter: click.Parameter, path: str | None) -> None:
    """The benchmark file's values become the defaults of the flags."""
    if path is None:
        return
    from robustbench_nlp.settings_file import read_settings

    content = read_settings(Path(path), f"the benchmark file '{path}'")
    known = [option.name for option in context.command.params if option.name and option is not parameter]
    values = {key.replace("-", "_"): value for key, value in content.items()}
    for key in values:
        if key not in known:
            raise unknown("benchmark setting", key, known)
    context.default_map = {key: value for key, value in values.items() if value is not None}


train = click.option(
    "--train", metavar="DATASET", help="Training data for defenses, where the dataset has no train split."
)
label_map = click.option(
    "--label-map",
    metavar="A=B,..",
    type=click.UNPROCESSED,
    callback=pairs,
    help="Which of the victim's labels is which of the dataset's.",
)
