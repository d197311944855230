"""What the processes train, the same for any number of them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import inputs
from ..files import write_atomically


@dataclass(frozen=True)
class Task:
    """A training on people who do not exist.

    Args:
        people, images: how many identities, and images of each.
        steps: of the optimizer, a multiple of `every`.
        batch: images in a step, over all processes.
        dim: of the embedding.
        margin, scale: of ArcFace, the margin in radians.
        every: steps from one checkpoint to the next; the loss is reported as often.
        share: of the classes in a step; below 1 it is Partial FC.
        groups: of columns, each of which draws its share from its own; None for one a process, so
            that none leaves its process.
        layout: the pattern for the path of the variable whose columns are divided.
        seed: of weights, order and draws.
    """

    people: int = 5000
    images: int = 4
    steps: int = 400
    batch: int = 120
    dim: int = 64
    margin: float = 0.3
    scale: float = 10.0
    every: int = 20
    share: float = 1.0
    groups: int | None = None
    layout: str = ".*head/kernel"
    seed: int = 0

    def check(self, processes):
        """Refuse what cannot be divided evenly.

        Raises:
            ValueError: with the numbers that do not fit.
        """
        inputs.whole_number(processes, "processes", 1)
        for name in ("batch", "people"):
            if getattr(self, name) % processes:
                raise ValueError(
                    f"{name}: {getattr(self, name)} cannot be divided evenly over {processes} "
                    f"processes; choose a multiple of {processes}."
                )
        inputs.number_from(self.share, "share", 1e-9, 1)
        if self.steps % self.every:
            raise ValueError(f"steps: {self.steps} is no multiple of every, {self.every}.")

    def write(self, path):
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path):
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
