"""`export`: a model as a folder for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import click

from robustbench_nlp.console import say

__all__ = ["command"]


@click.command("export")
@click.argument("target", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--victim", metavar="VICTIM", default="minilm-mr", show_default=True, help="minilm-mr or hf:ID_OR_FOLDER."
)
@click.option("--int8", is_flag=True, help="Weights as 8-bit integers: smaller and mostly faster, and another model.")
@click.option("--dataset", metavar="DATASET", default="mr", show_default=True, help="Whose texts both are compared on.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="So many texts.")
def command(target: Path, victim: str, int8: bool, dataset: str, limit: int) -> None:
    """Write a model into FOLDER for ONNX Runtime, and say how its answers differ.

    The victim onnx:FOLDER attacks it. Faster or not depends on the processor: benchmarks/backends.py measures it.
    """
    from robustbench_nlp.data import load_dataset
    from robustbench_nlp.exporting import export
    from robustbench_nlp.victim import open_victim

    texts = [example.input for example in load_dataset(dataset, "test").head(limit)]
    found = export(open_victim(victim), target, texts, int8=int8)
    say(
        f"onnx:{target}: {found.changed} of {found.texts} texts get another class, "
        f"probabilities differ by at most {found.largest:.2g}"
    )
