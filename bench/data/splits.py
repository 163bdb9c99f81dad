"""The splits of a data set as its files have them: of the published ones by their sizes, of one's own as they are."""

from pathlib import Path
from typing import Any, NamedTuple

from bench.data.drawn import balls, pusher
from bench.data.own import Stored, read_own
from bench.data.readers import read


class Facts(NamedTuple):
    shape: tuple[int, int, int]  # channels, height, width
    levels: int  # pixels are stored as 0..levels
    valid: int  # the last so many training images are the validation split


FACTS = {
    "digits": Facts((1, 8, 8), 16, 100),
    "mnist": Facts((1, 28, 28), 255, 10_000),
    "fashion_mnist": Facts((1, 28, 28), 255, 10_000),
    "static_mnist": Facts((1, 28, 28), 1, 10_000),
    "omniglot": Facts((1, 28, 28), 16, 1_920),  # the last 96 of the 964 background characters
    "cifar10": Facts((3, 32, 32), 255, 5_000),
    "svhn": Facts((3, 32, 32), 255, 5_000),
}
OWN, DRAWN = "file", {"balls": balls, "pusher": pusher}


def read_splits(name: str, root: Path, download: bool, own: dict[str, Any]) -> Stored:
    """`own` has the arguments of `read_own`, of images of one's own, or of what draws them. DataError where they cannot
    be had."""
    if name == OWN:
        return read_own(root / own["path"], **{key: value for key, value in own.items() if key != "path"})
    if name in DRAWN:
        return _drawn(name, **own)
    shape, levels, valid = FACTS[name]
    training, test = (x.reshape(-1, *shape) for x in read(name, root, download))
    cut = len(training) - valid
    return Stored(training[:cut], training[cut:], test, levels)


def _drawn(name: str, examples: int, draw_seed: int, **own: Any) -> Stored:
    tenth = max(1, examples // 10)
    x = DRAWN[name](**own, number=examples + 2 * tenth, seed=draw_seed)  # type: ignore[operator]
    return Stored(x[:examples], x[examples : examples + tenth], x[examples + tenth :], 255)
