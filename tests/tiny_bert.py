"""A BERT of a few thousand random weights with a letter-by-letter tokenizer, saved like any other model."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase, digits

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, "good", "bad", "film", "the", *ascii_lowercase, *digits, *(f"##{c}" for c in ascii_lowercase)]


def save(folder: Path, *, head: bool = True, labels: tuple[str, ...] = ("negative", "positive"), seed: int = 0) -> Path:
    """Weights (with or without a classification head) and tokenizer, at most 32 tokens long."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config) if head else BertModel(config)
    model.save_pretrained(folder)
    return folder


def edit_config(folder: Path, **changes: object) -> Path:
    """Change entries of the saved configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")
    return folder
