"""What a preset of `conf/estimator` is: the hyper-parameters that its YAML sets."""

from omegaconf import OmegaConf

from bench.files import CONF


def set_by_preset(option: str) -> set[str]:
    """Names of hyper-parameters; none where the option is a class."""
    file = CONF / "estimator" / f"{option}.yaml"
    return {*map(str, OmegaConf.load(file))} - {"defaults", "_target_"} if file.is_file() else set()
