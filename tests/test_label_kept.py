"""The script that counts how often a reader still finds the original's label, and what is published of it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "label-kept"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import label_kept

    return label_kept


def test_changes_are_told_word_by_word(script: ModuleType) -> None:
    assert script.changes("A good film, and fun!", "A fine film, and amusing!") == "good→fine fun→amusing"
    assert script.changes("a film", "a film") == ""


def test_rates_count_the_clear_and_pairs_the_shared(script: ModuleType) -> None:
    rows = [
        *(("a", str(i), "yes" if i < 6 else "unclear", "yes") for i in range(8)),
        *(("b", str(i), "no" if i < 8 else "yes", "no") for i in range(4, 10)),
    ]
    judgements = pd.DataFrame(rows, columns=["way", "example_id", "label", "sound"])
    runs = pd.DataFrame({"way": ["a", "b"], "min_cosine": [0.5, 0.6], "successes": [8, 6], "attempted": [12, 12]})
    first, second = script.tabled(judgements, runs).splitlines()[2:4]
    assert first.startswith("| a | 0.50 | 8 / 12 | 75 [41–93] | 2 | 100 [68–100] | 50 [25–75] |")
    assert second.startswith("| b | 0.60 | 6 / 12 | 33 [10–70] | 0 | 0 [0–39] | 17 [5–45] |")
    assert script.tabled(judgements, runs).splitlines()[-1] == "| a, b | 75, 33 | 0.277 | 4 | 2, 0 | 0.500 |"


def test_the_page_shows_what_its_judgements_give(script: ModuleType) -> None:
    judgements, runs = (pd.read_csv(RESULTS / f"{name}.csv") for name in ("judgements", "runs"))
    assert script.tabled(judgements, runs) in (RESULTS / "README.md").read_text("utf-8")
    assert set(judgements["label"]) <= set(script.VERDICTS)
    assert judgements.groupby("way").size().to_dict() == dict(zip(runs["way"], runs["successes"], strict=True))
    assert judgements.columns.tolist() == ["example_id", "way", "original_label", "changes", "label", "sound"]
