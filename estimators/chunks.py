"""How many points a cost is given at once, where an estimator asks for that of many."""

from torch import Tensor

# Of the largest tensor that one chunk of points should give rise to in the cost. A GPU takes as long to be asked for a
# small chunk as for a large one; how much larger its chunks are, 512 MiB of float32, is chosen and not measured.
ELEMENTS = {"cpu": 2**24, "cuda": 2**27}


def at_once(like: Tensor, per_point: int) -> int:
    """Points of a chunk, 1 or more, on the device of `like`; one point gives rise to `per_point` elements."""
    return max(1, ELEMENTS.get(like.device.type, ELEMENTS["cpu"]) // per_point)
