"""Renews the sizes and hashes of the shipped files in robustbench_nlp/resources.toml; run it when one of them has changed."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

FILE = Path(__file__).parents[1] / "robustbench_nlp" / "resources.toml"
LINE = re.compile(r'^files\."([^"]+)" = .*$', re.MULTILINE)


def line(match: re.Match[str]) -> str:
    """The file's line with what it is now."""
    data = files("robustbench_nlp.lexicon").joinpath(match[1]).read_bytes()
    facts = f'bytes = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}"'
    return f'files."{match[1]}" = {{ {facts} }}'


if __name__ == "__main__":
    shipped, packaged, rest = FILE.read_text("utf-8").partition("[[packaged]]")
    FILE.write_text(LINE.sub(line, shipped) + packaged + rest, "utf-8")
