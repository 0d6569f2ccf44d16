"""Builds the NLTK data that TextAttack's offline recipes need, as `robustbench-nlp fetch nltk-data` does, or from files at hand.

Usage: build_nltk_data.py [--wordnet FOLDER] [--output FOLDER]. See `robustbench_nlp/nltk_data.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustbench_nlp import nltk_data

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wordnet", type=Path, help="the dict folder of WordNet 3.0")
    parser.add_argument("--output", type=Path, default=nltk_data.place())
    options = parser.parse_args()
    print(nltk_data.build(options.output, options.wordnet))
