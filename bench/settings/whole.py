"""The whole configuration of a run, of groups."""

from typing import Any, NotRequired, TypedDict

from bench.settings.groups import (
    DataGroup,
    EstimatorGroup,
    EvaluateGroup,
    LatentGroup,
    MeasureGroup,
    ModelGroup,
    ObjectiveGroup,
    ProblemGroup,
    Seeds,
    SweepGroup,
    TimingGroup,
    TrainGroup,
)


class Described(TypedDict):
    """What every run says of itself, be it a training or a measurement at a shared checkpoint."""

    option: NotRequired[str]  # the estimator's
    name: str
    output: str
    seed: int
    seeds: Seeds
    engine: str
    engine_fallback: str
    replicas: int
    device: str
    threads: int
    dtype: str
    precision: str
    deterministic: bool
    problem: ProblemGroup
    latent: NotRequired[LatentGroup]
    model: NotRequired[ModelGroup]
    data: NotRequired[DataGroup]
    objective: ObjectiveGroup
    estimator: EstimatorGroup
    timing: TimingGroup


class Config(Described):
    """The configuration of a training, as `bench.config.prepare.prepare` returns it."""

    train: TrainGroup
    measure: MeasureGroup
    evaluate: EvaluateGroup
    sweep: SweepGroup


class Measurement(Described):
    """The configuration of a measurement at a shared checkpoint: of `train` and `measure` what it depends on."""

    train: dict[str, Any]
    measure: dict[str, Any]
    probe: dict[str, Any]
