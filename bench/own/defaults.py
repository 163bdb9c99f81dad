"""The groups of the configuration for who has none: the defaults of `conf/config.yaml`, with some values changed."""

from typing import Any, cast

from omegaconf import OmegaConf

from bench.config.prepare import check_keys
from bench.config.rules import RULES
from bench.errors import BadInput, nearest
from bench.files import CONF
from bench.settings import TrainGroup


def train_group(**changes: Any) -> TrainGroup:
    """The group `train`. Raises BadInput at a key that there is not, or a value that it cannot have."""
    whole = OmegaConf.load(CONF / "config.yaml")
    group = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create({"train": whole.train})["train"]))
    if unknown := [key for key in changes if key not in group]:
        raise BadInput(f"There is no key train.{unknown[0]}: {nearest(unknown[0], group)}")
    group |= {"tuning_lr": changes.get("lr", group["lr"])} | changes
    rules = {key: rule for key, rule in RULES.items() if key.startswith("train.")}
    check_keys({f"train.{key}": value for key, value in group.items()}, rules)
    return cast(TrainGroup, group)
