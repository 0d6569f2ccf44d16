"""Encoder-decoder models that help attacks: they paraphrase a text, or translate it (T5, BART, Marian and their like).

None comes with the package: a model is a folder, or a hub id, with or without `hf:` in front.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from robustbench_nlp.data.example import content_hash
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims._reader import batches
from robustbench_nlp.victims.hf import device_of, local_folder, longest_input, quiet

__all__ = ["BEAMS", "generator"]

BEAMS = 4
"""Beams of a search for fewer texts than that."""
_BUDGET = {"cpu": 1_600, "cuda": 16_384}
_OVERHEAD = {"cpu": 64, "cuda": 2_048}
"""Padded tokens of one batch, all beams or draws of a text counted, and what one more call costs in tokens."""

Rewritten = list[str]
"""What became of one text, the likeliest first."""


@cache
def generator(model: str, device: str = "auto") -> Callable[..., list[Rewritten]]:
    """Texts, and `n`, `temperature` and `max_tokens`, to at most `n` distinct texts each; see `attack.Generate`.

    At temperature 0 by beam search, `n` beams or `BEAMS` if that is more. Above it by drawing tokens: draw `i` of a text
    repeats, whatever stands beside it in a batch. An empty text, and one that is longer than the model reads, has no
    rewordings; neither is a text counted that is empty or isn't finished within `max_tokens`. Raises `UsageError`.
    """
    return _opened(model.removeprefix("hf:"), device)


class _Rewriter:
    def __init__(self, model: Any, tokenizer: Any, device: Any) -> None:
        self._model = model.to(device).eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._device = device
        self._length = longest_input(tokenizer, model.config)
        kind = device.type if device.type in _BUDGET else "cuda"
        self._budget, self._overhead = _BUDGET[kind], _OVERHEAD[kind]

    def __call__(
        self, texts: Sequence[str], n: int = 1, temperature: float = 0.0, max_tokens: int = 128
    ) -> list[Rewritten]:
        """See `generator`."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        distinct = [text for text in dict.fromkeys(clean) if text.strip()]
        with _silent():
            ids = self._tokenizer(distinct, truncation=False)["input_ids"] if distinct else []
            short = [i for i, row in enumerate(ids) if len(row) <= self._length]
            found: dict[str, Rewritten] = {}
            width = n if temperature else max(n, BEAMS)
            for rows in batches([len(ids[i]) for i in short], self._budget // width, self._overhead):
                part = [distinct[short[row]] for row in rows]
                found.update(zip(part, self._rewritten(part, n, temperature, max_tokens), strict=True))
        return [found.get(text, []) for text in clean]

    def _rewritten(self, texts: Sequence[str], n: int, temperature: float, max_tokens: int) -> Iterator[Rewritten]:
        """One batch. A drawn text is a row of its own, so that each draw has its own noise."""
        import torch
        from transformers import LogitsProcessorList

        copies = n if temperature else 1
        rows = [text for text in texts for _ in range(copies)]
        batch = self._tokenizer(rows, padding=True, return_tensors="pt")
        wanted: dict[str, Any] = {"num_beams": max(n, BEAMS), "num_return_sequences": n}
        if temperature:
            noise = _Noise([content_hash(text, i) for text in texts for i in range(copies)], temperature)
            wanted = {"num_beams": 1, "num_return_sequences": 1, "logits_processor": LogitsProcessorList([noise])}
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=batch["input_ids"].to(self._device),
                attention_mask=batch["attention_mask"].to(self._device),
                do_sample=False,
                max_new_tokens=max_tokens,
                **wanted,
            )
        ends = self._model.generation_config.eos_token_id  # one, some, or none
        finished = torch.isin(made[:, 1:].cpu(), torch.tensor([] if ends is None else ends)).any(dim=1).tolist()
        strings = [string.strip() for string in self._tokenizer.batch_decode(made, skip_special_tokens=True)]
        for start in range(0, len(strings), n):
            kept = (strings[i] for i in range(start, start + n) if finished[i] and strings[i])
            yield list(dict.fromkeys(kept))


class _Noise:
    """Makes the likeliest token a drawn one: logits divided by the temperature, plus Gumbel noise (Maddison et al., 2014).

    Each row has its own generator, so its draw doesn't depend on the batch, and no global generator is touched.
    """

    def __init__(self, seeds: Sequence[str], temperature: float) -> None:
        import torch

        self._generators = [torch.Generator().manual_seed(int(seed[:15], 16)) for seed in seeds]
        self._temperature = temperature

    def __call__(self, ids: Any, logits: Any) -> Any:
        import torch

        drawn = [torch.empty(logits.shape[1]).exponential_(generator=generator) for generator in self._generators]
        return logits / self._temperature - torch.stack(drawn).log().to(logits.device)


@contextmanager
def _silent() -> Iterator[None]:
    """Neither the library's log, nor the Marian tokenizer's advice to install another package."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _opened(name: str, device: str) -> _Rewriter:
    if name == EMBEDDED:
        raise UsageError("no model that rewords or translates comes with the package; name one, hf:ID or hf:FOLDER")
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = local_folder(name)
    if not list(folder.glob("*.safetensors")):
        raise UsageError(
            f"'{name}' has no safetensors weights; convert them with save_pretrained(..., safe_serialization=True)"
        )
    try:
        with _silent():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                folder, use_safetensors=True, dtype="float32", output_loading_info=True
            )
    except ImportError as problem:
        raise UsageError(
            f"the tokenizer of '{name}' needs a package that isn't here; pip install 'robustbench-nlp[seq2seq]'"
        ) from problem
    except Exception as problem:  # the library raises many kinds for files it cannot read
        first = str(problem).strip().partition("\n")[0]
        raise UsageError(f"cannot open '{name}' as an encoder-decoder model: {first}") from problem
    if report["missing_keys"]:
        raise UsageError(f"'{name}' lacks weights ({sorted(report['missing_keys'])[0]}); name a complete model")
    return _Rewriter(model, tokenizer, device_of(VictimOptions(device=device)))
