"""What may be learned from: a split without the texts that are attacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from robustbench_nlp.data import Example, load_dataset, match_labels
from robustbench_nlp.data.example import ids_of, picked
from robustbench_nlp.report.flags import Flag, train_overlap
from robustbench_nlp.victim import Victim

__all__ = ["Unattacked", "unattacked"]


class Unattacked(NamedTuple):
    """The examples of a split that aren't attacked, and how many others it has."""

    examples: Sequence[Example] = ()
    left_out: int = 0

    def flags(self) -> list[Flag]:
        """The warning that the split holds texts that are attacked; none where it holds none."""
        return train_overlap(self.left_out, len(self.examples) + self.left_out)


def unattacked(
    source: str | None, split: str, attacked: Sequence[Example], victim: Victim, label_map: Mapping[str, str] | None
) -> Unattacked:
    """The split of a data set, its labels the victim's, without those under attack: examples of one id have one text; empty
    without a source."""
    if source is None:
        return Unattacked()
    found = match_labels(load_dataset(source, split), victim.label_names, label_map).examples
    few, many = sorted((found, attacked), key=len)
    common = set(ids_of(few)).intersection(ids_of(many))
    return Unattacked(picked(found, lambda identity: identity not in common), len(common))
