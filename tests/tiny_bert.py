"""A BERT of a few thousand random weights with a letter-by-letter tokenizer, saved like any other model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase, digits

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, "good", "bad", "film", "the", *ascii_lowercase, *digits, *(f"##{c}" for c in ascii_lowercase)]


def save(
    folder: Path,
    *,
    head: bool = True,
    masked: bool = False,
    labels: tuple[str, ...] = ("negative", "positive"),
    seed: int = 0,
    length: int = 32,
    vocabulary: Sequence[str] = VOCABULARY,
) -> Path:
    """Weights (with a classification head, a masked-LM head, or none) and tokenizer, at most `length` tokens long."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=length).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=length,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = BertForMaskedLM if masked else BertForSequenceClassification if head else BertModel
        model = kind(config)
    model.save_pretrained(folder)
    return folder


def save_bytes(folder: Path, *, causal: bool = False) -> Path:
    """A RoBERTa with a masked-LM head, or a GPT-2: of random weights, on a byte-level vocabulary of 300 tokens."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPT2TokenizerFast,
        RobertaConfig,
        RobertaForMaskedLM,
        RobertaTokenizerFast,
    )

    folder.mkdir(parents=True, exist_ok=True)
    special = ["<|endoftext|>"] if causal else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        ["the film is good and the film is bad"] * 9, 300, 2, show_progress=False, special_tokens=special
    )
    bpe.save_model(str(folder))
    (GPT2TokenizerFast if causal else RobertaTokenizerFast).from_pretrained(
        folder, model_max_length=32
    ).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if causal:
            model = GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=300, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
                )
            )
        else:
            sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
            model = RobertaForMaskedLM(
                RobertaConfig(vocab_size=300, max_position_embeddings=34, initializer_range=0.3, **sizes)
            )
    model.save_pretrained(folder)
    return folder


def edit_config(folder: Path, **changes: object) -> Path:
    """Change entries of the saved configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")
    return folder
