"""A T5 and a Marian of a few thousand weights that know a handful of sentences by heart, saved like any other model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIZES = {"d_model": 32, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
LENGTH = 32
"""The most tokens that they read."""


def _taught(model: Any, tokenizer: Any, pairs: Mapping[str, str], steps: int = 60) -> Any:
    """The model, trained to answer each key by its value."""
    import torch

    read = tokenizer(list(pairs), padding=True, return_tensors="pt")
    wanted = tokenizer(text_target=list(pairs.values()), padding=True, return_tensors="pt")["input_ids"]
    wanted[wanted == tokenizer.pad_token_id] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = model(input_ids=read["input_ids"], attention_mask=read["attention_mask"], labels=wanted).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def save_t5(folder: Path, pairs: Mapping[str, str], *, seed: int = 0) -> Path:
    """A T5 on a vocabulary of the sentences' words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = sorted({word for pair in pairs.items() for text in pair for word in text.lower().split()})
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=LENGTH
    )
    tokenizer.save_pretrained(folder)
    config = T5Config(vocab_size=len(vocabulary), d_kv=16, d_ff=64, num_layers=1, num_heads=2, dropout_rate=0, **SIZES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _taught(T5ForConditionalGeneration(config), tokenizer, pairs).save_pretrained(folder)
    return folder


def save_marian(folder: Path, pairs: Mapping[str, str], *, seed: int = 0) -> Path:
    """A Marian on two SentencePiece models of letters."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    for side in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([text for pair in pairs.items() for text in pair]),
            model_prefix=str(folder / side),
            model_type="char",
            vocab_size=100,
            hard_vocab_limit=False,
            minloglevel=9,
        )
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
    spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    pieces = dict.fromkeys(["<pad>", "</s>", "<unk>", *(spm.id_to_piece(i) for i in range(spm.get_piece_size()))])
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), "utf-8")
    files = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the advice to install another package
        tokenizer = MarianTokenizer(
            **{name: str(folder / file) for name, file in files.items()}, model_max_length=LENGTH
        )
    tokenizer.save_pretrained(folder)
    layers = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("layers", 1), ("ffn_dim", 64))}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 200}
    config = MarianConfig(vocab_size=len(pieces), forced_eos_token_id=None, dropout=0, **layers, **heads, **SIZES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _taught(MarianMTModel(config), tokenizer, pairs).save_pretrained(folder)
    return folder
