"""What has a budget of its own: an estimator, and whatever else but the seed the command varies."""

from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf, open_dict

from bench.config import parts, plugins
from bench.config.prepare import prepare
from bench.config.preset import set_by_preset
from bench.errors import BadInput
from bench.problems import VAE
from bench.settings import Config, Tuning
from bench.tune.points import LR, Values, points_of


@dataclass(frozen=True, eq=False)
class Subject:
    """A part of the command that has its own points and its own choice.

    Attributes:
        name: the estimator, and the overrides that not all subjects have.
        option: of the estimator.
        overrides: of its jobs, but for the seed and the point.
        seeds: with which every point is tried.
        steps: of the whole training.
    """

    name: str
    option: str
    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    points: tuple[Values, ...]


def subjects(loader: Any, master: Any, jobs: list[list[str]], settings: Tuning) -> list[Subject]:
    """The subjects of these jobs, in their order.

    Args:
        loader: of Hydra.
        master: the configuration of the sweep.
        jobs: the overrides of each job without a point.
        settings: of the command.

    Raises:
        BadInput: a job cannot be run, sets the learning rate, or has no images for the split that decides.
    """
    gathered: dict[tuple[str, ...], list[list[str]]] = {}
    for job in jobs:
        gathered.setdefault(tuple(o for o in job if _key(o) != "seed"), []).append(job)
    common = set.intersection(*map(set, gathered))
    found, looked = [], list[Any]()
    for overrides, of in gathered.items():
        configs = [_composed(loader, master, job) for job in of]
        first = configs[0]
        _check(overrides, first, settings, looked)
        option = first.get("option", "")
        name = " ".join(o for o in overrides if o not in common and _key(o) != "estimator")
        cls = plugins.target(first["estimator"]["_target_"])
        fixed = {*map(_key, overrides), *(f"estimator.{name}" for name in set_by_preset(option))}
        points = points_of(cls, first["estimator"], fixed, settings)
        seeds = tuple(dict.fromkeys(config["seed"] for config in configs))
        label = f"{option} {name}".strip()
        found.append(Subject(label, option, overrides, seeds, first["train"]["steps"], tuple(points)))
    return found


def steps_of(share: float, steps: int) -> int:
    """The steps of a training that is given this share of the whole one's."""
    return max(1, round(share * steps))


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _composed(loader: Any, master: Any, job: list[str]) -> Config:
    cfg = loader.load_sweep_config(master, job)
    option = cfg.hydra.runtime.choices.get("estimator")
    with open_dict(cfg):
        del cfg["hydra"]
    plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return prepare(plain | {"option": option})


def _check(overrides: tuple[str, ...], config: Config, settings: Tuning, looked: list[Any]) -> None:
    """Raise BadInput where this cannot be tuned. `looked` has the data that were looked at for other subjects."""
    keys = {_key(override) for override in overrides}
    if LR in keys:
        raise BadInput("train.lr is what bench.tune varies: give its range, tune.lr=[1e-4,1e-2].")
    if fixed := sorted(key for key in keys if key.startswith("seeds.")):
        raise BadInput(f"{fixed[0]} would be the same with fresh seeds; bench.tune takes seed alone.")
    if config["replicas"] > 1:
        raise BadInput(f"bench.tune runs one seed a job and not {config['replicas']} replicas; set replicas=1.")
    if 1 not in config["evaluate"]["at"]:
        at = config["evaluate"]["at"]
        raise BadInput(f"bench.tune chooses by the bound at the end, so that evaluate.at needs 1 in it; got {at}.")
    for share in settings["tune"]["halving"]:
        steps, warmup = steps_of(share, config["train"]["steps"]), config["train"]["warmup"]
        if warmup and warmup >= steps:
            raise BadInput(
                f"tune.halving={share:g} trains {steps} steps, and train.warmup={warmup} would not be over by then."
            )
    split, data = settings["tune"]["split"], config.get("data")
    if split == "train" or data in looked:
        return
    if config["problem"]["name"] != VAE or data is None:
        raise BadInput(
            f"problem={config['problem']['name']} has no validation split; tune.split=train chooses by the training "
            "bound."
        )
    if split not in parts.images(data, seed=config["seeds"]["data"]).splits:
        size = data["train_size"]
        why = f"data.train_size={size} leaves none" if size else "it came without"
        raise BadInput(
            f"{data.get('path') or data['name']} has no validation images here, since {why}; a smaller "
            "data.train_size, or tune.split=train, which chooses by the training bound, runs."
        )
    looked.append(data)
