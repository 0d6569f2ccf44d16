"""TensorBoard: event files in a folder, tensorboard:DIR; `tensorboard --logdir DIR` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robustbench_nlp.errors import UsageError
from robustbench_nlp.tracking import Told

__all__ = ["TensorBoard"]


@dataclass(frozen=True)
class TensorBoard:
    """Logs each run into a folder of its own below `folder`; a curve's step is the queries spent."""

    folder: str

    def log(self, run: Told) -> str:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as problem:
            raise UsageError("TensorBoard is missing; pip install 'robustbench-nlp[tensorboard]'") from problem
        place = Path(self.folder) / run.name
        if any(place.glob("events.out.tfevents.*")):
            raise UsageError(
                f"{place} holds a log already, and a second would mix with it; remove it or name another folder"
            )
        with SummaryWriter(str(place)) as writer:
            for name, value in run.metrics.items():
                writer.add_scalar(name, value, 0)
            for name, points in run.curves.items():
                for step, share in points:
                    writer.add_scalar(name, share, step)
            writer.add_text("table", run.table)
            writer.add_text("settings", "\n".join(f"- {name}: `{value}`" for name, value in run.settings.items()))
        return f"tensorboard --logdir {self.folder}"
