"""What the processes send each other in a step, read from the compiled program."""

import math
import re

SIZES = {"f32": 4, "s32": 4, "u32": 4, "s64": 8, "bf16": 2, "pred": 1}  # bytes of a number in XLA
COLLECTIVES = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"
# What of a result each device sends where the devices pass it on in a ring, k of them.
RING = {
    "all-gather": lambda k: (k - 1) / k,
    "all-reduce": lambda k: 2 * (k - 1) / k,
    "reduce-scatter": lambda k: k - 1,
    "all-to-all": lambda k: (k - 1) / k,
    "collective-permute": lambda k: 1,
}


def read_collectives(text):
    """The collective operations of a compiled program, from its text."""
    found = []
    for shapes, operation in re.findall(rf"= (.*?) ({COLLECTIVES})(?:-start)?\(", text):
        for kind, shape in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            numbers = [int(number) for number in shape.split(",") if number]
            found.append((operation, f"{kind}[{shape}]", SIZES[kind] * math.prod(numbers)))
    return found


def sent(found, task, processes):
    """Bytes that each process sends in a step, by what they are, for `collectives`' list.

    Returns:
        A dictionary: "embeddings", of the batch and their gradient; "softmax", what has one number
        an image, labels too; "lots", of Partial FC's draw; "backbone", gradients and sums over the
        batch.
    """
    total = dict.fromkeys(("embeddings", "softmax", "lots", "backbone"), 0)
    for operation, shape, size in found:
        numbers = [int(number) for number in shape[shape.index("[") + 1 : -1].split(",") if number]
        kind = "backbone"
        if task.batch in numbers:
            kind = "embeddings" if task.dim in numbers else "softmax"
        elif task.share < 1 and task.people in (math.prod(numbers), processes * math.prod(numbers)):
            kind = "lots"
        total[kind] += round(size * RING[operation](processes))
    return total
