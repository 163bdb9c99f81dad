"""The rows of the tables as types, for those who compute them: what each knows, until the run has added the rest.

A column that a row does not have is null, and so is a NaN. What a column means is in `bench.tables.schema`; a test
holds the two to each other.
"""

from typing import Any, TypedDict, cast


class RunRow(TypedDict, total=False):
    """What a run was and how it ended."""

    run: str
    name: str | None
    status: str
    reason: str | None
    estimator: str
    family: str
    unbiased: bool | None
    objective: str
    seed: int
    step: int | None
    device: str | None
    device_name: str | None
    threads: int | None
    precision: str | None
    deterministic: bool | None
    cuda: str | None
    cudnn: int | None
    driver: str | None
    power_limit: float | None
    sm_clock_max: int | None
    memory_clock_max: int | None
    torch: str | None
    python: str | None
    suite: str | None
    schema: int
    commit: str | None
    code: str | None
    distribution: str | None
    started: str | None
    seconds: float | None
    command: str | None
    config: str


class ObjectiveRow(TypedDict, total=False):
    """The bounds of the model on one split at one step."""

    run: str
    seed: int
    step: int
    seconds: float
    split: str
    examples: int | None
    elbo: float
    elbo_se: float
    reconstruction: float
    kl: float
    iwae: float
    iwae_se: float
    samples: int | None
    log_prior_sampling: float
    log_prior_sampling_se: float
    prior_samples: int | None
    bits_per_dim: float
    active_units: int | None
    perplexity: float
    usage: float
    quantisation_error: float


class GradientRow(TypedDict, total=False):
    """The statistics of one part of the gradient at one step."""

    run: str
    seed: int
    step: int
    estimator: str
    trained_with: str | None
    part: str
    batches: int | None
    draws: int | None
    variance_noise: float
    variance_noise_se: float
    variance_data: float
    variance_data_se: float
    variance: float
    variance_se: float
    norm_sq: float
    norm_sq_se: float
    snr: float
    snr_se: float
    bias_sq: float
    bias_sq_se: float
    cosine: float
    cosine_se: float
    mse: float
    mse_se: float
    bias_sq_scaled: float
    bias_sq_scaled_se: float
    variance_scaled: float
    variance_scaled_se: float
    norm_sq_data: float
    norm_sq_data_se: float
    snr_data: float
    snr_data_se: float
    bias_sq_data: float
    bias_sq_data_se: float
    variance_exact: float | None
    kurtosis: float
    note: str | None
    reference: str | None
    reference_draws: int | None
    reference_error_sq: float | None
    reference_norm_sq: float
    ema_variance: float
    ema_variance_log: float
    ema_variance_sum: float
    ema_variance_all: float
    snr_parameters: float


class ChoiceRow(TypedDict, total=False):
    """How the codes of one stage, or one expert, are used."""

    run: str
    seed: int
    step: int
    split: str
    part: str
    perplexity: float
    usage: float
    load: float
    probability: float
    quantisation_error: float


class CostRow(TypedDict, total=False):
    """The seconds and the memory of a step or of a gradient."""

    run: str
    estimator: str | None
    what: str
    engine: str | None
    device: str | None
    device_name: str | None
    threads: int | None
    batch_size: int
    seconds: float
    seconds_se: float | None
    seconds_q1: float
    seconds_q3: float
    seconds_device: float | None
    overhead: float | None
    launches: float | None
    seconds_compile: float | None
    repetitions: int | None
    calls: int | None
    interleaved: int | None
    valid: bool | None
    cpu_share: float | None
    preempted: float | None
    load_before: float | None
    load: float | None
    load_after: float | None
    throttled: bool | None
    temperature_before: int | None
    temperature_after: int | None
    sm_clock_before: int | None
    sm_clock_after: int | None
    evaluations_forward: float
    evaluations_backward: float
    peak_memory: int | None


class Rows(TypedDict):
    """What a run has measured so far: the rows of the tables beside `runs`."""

    objective: list[ObjectiveRow]
    gradient: list[GradientRow]
    cost: list[CostRow]
    choices: list[ChoiceRow]


def by_table(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """The same for those who treat all tables alike."""
    return cast(dict[str, list[dict[str, Any]]], rows)
