"""One file that holds everything a training needs to go on where it was interrupted, to the same bits.

Tensors and text only, no pickle: the model, the optimiser, the generators, and what the caller adds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["Checkpoint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The file, and what it is written from and read into."""

    path: Path
    model: Any
    optimizer: Any
    rng: Random
    device: Any

    def save(self, tensors: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        """Write the file whole or not at all, with the caller's own tensors and notes (JSON-able)."""
        import torch
        from safetensors.torch import save_file

        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        state |= {f"own.{name}": value for name, value in tensors.items()}
        state["generator.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            state["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        metadata = {"notes": json.dumps(notes), "rng": json.dumps(self.rng.getstate())}
        try:
            save_file({name: value.detach().cpu().clone() for name, value in state.items()}, scratch, metadata)
            os.replace(scratch, self.path)
        finally:
            scratch.unlink(missing_ok=True)

    def restore(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Put everything back as it was saved; the caller's own tensors and notes, or None where there is no whole file."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (OSError, SafetensorError):
            return None

        def part(prefix: str) -> dict[str, Any]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        moments: dict[int, dict[str, Any]] = {}
        for name, value in part("optimizer.").items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        version, inner, following = json.loads(metadata["rng"])
        self.rng.setstate((version, tuple(inner), following))
        torch.set_rng_state(state["generator.cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["generator.cuda"], self.device)
        return {name: value.to(self.device) for name, value in part("own.").items()}, json.loads(metadata["notes"])
