"""Prints how often the embedded victims are right on the dev and test splits of mr: `python scripts/score_victims.py`."""

from __future__ import annotations

from robustbench_nlp.data import load_dataset
from robustbench_nlp.victim import open_victim


def main() -> None:
    for name in ("minilm-mr", "cnn-mr", "tfidf-mr"):
        victim = open_victim(name)
        for split in ("dev", "test"):
            examples = load_dataset("mr", split).examples
            answers = victim.predict([example.input for example in examples]).argmax(axis=1)
            right = sum(int(answer) == example.label for answer, example in zip(answers, examples, strict=True))
            print(f"{name}, {split}: {right / len(examples):.1%} of {len(examples)}")


if __name__ == "__main__":
    main()
