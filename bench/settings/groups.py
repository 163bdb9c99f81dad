"""The groups of the configuration, a dictionary for each of `conf/`."""

from typing import Any, NotRequired, TypedDict

EstimatorGroup = dict[str, Any]  # `_target_`, and the hyper-parameters that its constructor has


class Seeds(TypedDict):
    """The independent streams of random numbers."""

    model: int
    data: int
    estimator: int
    measure: int


class ProblemGroup(TypedDict):
    """A cost with known answers, or `name: vae`."""

    name: str
    k: NotRequired[float]
    mean: NotRequired[float]
    std: NotRequired[float]
    dim: NotRequired[int]
    t: NotRequired[float]
    power: NotRequired[float]
    logit: NotRequired[float]
    vocabulary: NotRequired[int]
    length: NotRequired[int]
    prompts: NotRequired[int]
    policy: NotRequired[str]
    spread: NotRequired[float]


class LatentGroup(TypedDict):
    """The family of q and its sizes."""

    family: str
    dim: int
    layers: NotRequired[list[int | dict[str, Any]] | None]
    categories: NotRequired[int]
    positions: NotRequired[int]
    codes: NotRequired[int]
    stages: NotRequired[int]
    residual_detach: NotRequired[bool]
    temperature: NotRequired[float]
    codebook: NotRequired[str]
    levels: NotRequired[list[int]]
    codebook_weight: NotRequired[float]
    commitment_weight: NotRequired[float]
    decay: NotRequired[float]
    restart: NotRequired[float]


class ModelGroup(TypedDict):
    """Encoder, decoder and prior of the variational autoencoder."""

    task: str
    decoder: str
    arch: str
    hidden: list[int]
    activation: str
    slope: float
    init: str
    likelihood: str
    std: float
    learn_std: bool
    prior: str
    center_input: bool
    signed_latent: bool
    output_bias: str
    kernels: list[int] | None
    strides: list[int] | None
    steps: NotRequired[int | None]
    state: NotRequired[int]
    unimix: NotRequired[float]
    balance: NotRequired[list[float]]


class DataGroup(TypedDict):
    """The images and how they are made binary."""

    name: str
    root: str
    path: NotRequired[str]
    layout: NotRequired[str]
    levels: NotRequired[int | None]
    test_size: NotRequired[float]
    split_seed: NotRequired[int]
    digest: NotRequired[str]
    frames: NotRequired[int]
    size: NotRequired[int]
    objects: NotRequired[int]
    examples: NotRequired[int]
    draw_seed: NotRequired[int]
    binarisation: str
    dequantise: bool
    train_size: int | None
    download: bool


class ObjectiveGroup(TypedDict):
    """How the KL enters."""

    kl: str
    beta: float


class TrainGroup(TypedDict):
    """The optimisers, and how long they go on."""

    steps: int
    batch_size: int
    optimiser: str
    lr: float
    betas: list[float]
    eps: float
    momentum: float
    nesterov: bool
    momentum_decay: float
    weight_decay: float
    clip_norm: float | None
    schedule: str
    warmup: int
    end_factor: float
    decay_steps: int
    decay_factor: float
    tuning_lr: float


class MeasureGroup(TypedDict):
    """The gradient draws."""

    at: list[float]
    draws: int
    batches: int
    batch_size: int
    layers: bool
    reference: str
    reference_draws: int
    memory: int
    precision: float | None
    max_draws: int
    papers: bool


class EvaluateGroup(TypedDict):
    """The bounds and the images."""

    at: list[float]
    examples: int | None
    samples: int
    prior_samples: int
    images: int


class TimingGroup(TypedDict):
    """The clock."""

    repetitions: int
    warmup: int
    block: float
    error: float


class SweepGroup(TypedDict):
    """What a sweep does with a run that fails or lasts."""

    retry: str
    fail_fast: bool
    time_limit: float | None
    checkpoint_seconds: float | None


class ProbeGroup(TypedDict):
    """What `python -m bench.probe` asks for besides."""

    estimators: list[str]
    batch_sizes: list[int]
    checkpoint: str | None
    at: list[float]
    tuning_steps: int
