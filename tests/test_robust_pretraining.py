"""The gaps of robust pre-training: which tokens are hidden, and that guessing them is learned."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import tiny_bert
from texts import complaint

from robustbench_nlp import training
from robustbench_nlp.defenses.robust_pretraining import RobustPretraining, _gaps
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.training import Batch
from robustbench_nlp.victims._reader import Reader

TEXTS = ["a good film", "the film is bad", "one of the great films"] * 4


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_bert.save(tmp_path / "bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    return Batch(model, Reader(tokenizer, 32), list(TEXTS), torch.zeros(len(TEXTS), dtype=torch.int64), Random(0))


def test_guessing_hidden_words_is_learned(batch: Batch) -> None:
    import torch

    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(batch.model.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        loss = _gaps(batch, batch.tensors(), 0.5)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_model_whose_embeddings_are_narrower_than_its_states_is_refused(batch: Batch) -> None:
    import torch
    from transformers import AlbertConfig, AlbertForSequenceClassification

    sizes = {"embedding_size": 8, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    model = AlbertForSequenceClassification(AlbertConfig(vocab_size=len(tiny_bert.VOCABULARY), **sizes))
    torch.manual_seed(0)
    with pytest.raises(UsageError, match="8 dimensions here and its states 16"):
        _gaps(batch._replace(model=model), batch.tensors(), 0.9)


def test_special_tokens_are_never_hidden(batch: Batch) -> None:
    asked: list[int] = []
    forward = batch.model.forward

    def watched(*, input_ids: object, **others: object) -> object:
        asked.append((input_ids == batch.reader.mask_id).sum().item())  # type: ignore[attr-defined]
        return forward(input_ids=input_ids, **others)

    batch.model.forward = watched
    tensors = batch.tensors()
    _gaps(batch, tensors, 1.0)
    special = sum(int((tensors["input_ids"] == number).sum()) for number in batch.reader.special_ids)
    assert asked == [tensors["input_ids"].numel() - special]
    assert _gaps(batch, tensors, 0.0) is None


def test_what_is_to_be_guessed_stands_in_the_clean_text(batch: Batch) -> None:
    tensors = batch.tensors(["a ggod film", "teh filmx is bad", "one of the great films"] * 4)
    shown = []
    forward = batch.model.forward
    batch.model.forward = lambda **given: (shown.append(given["input_ids"]), forward(**given))[1]
    _gaps(batch, tensors, 1.0)
    hidden = (shown[0] == batch.reader.mask_id).tolist()
    clean = [set(encoding.ids) - set(batch.reader.special_ids) for encoding in batch.reader(batch.inputs)]
    for ids, gaps, known in zip(tensors["input_ids"].tolist(), hidden, clean, strict=True):
        assert gaps == [number in known for number in ids]


def test_both_of_its_trainings_are_told_apart_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(training, "continue_training", lambda victim, *_, kind, settings, **__: told.append(settings))
    victim = KeywordVictim()
    object.__setattr__(victim, "mask_token", "[MASK]")
    RobustPretraining()(victim, [], Random(0))
    assert [settings["version"] for settings in told] == [RobustPretraining.version] * 2


def test_a_victim_without_a_mask_token_is_told() -> None:
    assert "mask token" in complaint(lambda: RobustPretraining()(KeywordVictim(), [], Random(0)))
