"""What every key of `conf/` may hold, but those of the estimator, which come from its constructor."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MANY = 2**24  # of anything that is held or drawn: float32 counts no further
STEPS = 2**30  # of a training, years of it
FEW = 2**10  # of what is a whole model or picture each


class Rule(NamedTuple):
    """What one key may hold. `kind` makes the value what it is, so that 1 and 1.0 are the same float."""

    kind: type
    expected: str  # completes "needs ..."
    holds: Callable[[Any], bool] = lambda value: True
    choices: tuple[str, ...] = ()
    many: bool = False  # a list of such values
    mappings: bool = False  # and an item may be keys with values, checked by whoever knows them
    optional: bool = False  # null is a value too
    only: tuple[str, ...] | None = None  # (key, values...): exists only where another key has one of these values


def _whole(low: int = 0, high: float = math.inf, **more: Any) -> Rule:
    expected = f"a whole number, {low} or more" if high == math.inf else f"a whole number from {low} to {high}"
    return Rule(int, expected, lambda v: low <= v <= high, **more)


def _real(low: float = -math.inf, high: float = math.inf, above: bool = False, **more: Any) -> Rule:
    bounds = f" above {low:g}" if above else f", {low:g} or more" if low > -math.inf else ""
    expected = f"a number from {low:g} to {high:g}" if high < math.inf else f"a number{bounds}"
    return Rule(float, expected, lambda v: (v > low if above else v >= low) and v <= high, **more)


def _one_of(*choices: str, **more: Any) -> Rule:
    return Rule(str, f"one of {', '.join(choices)}", choices=choices, **more)


TEXT = Rule(str, "text", bool)
FOLDER = Rule(str, "the name of a folder inside output", lambda v: bool(v) and not {"..", "/"} & {*Path(v).parts})
FLAG = Rule(bool, "true or false")
POSITIVE = _real(0, above=True)
FRACTIONS = _real(0, 1, many=True)
CATEGORICAL, VQ = ("latent.family", "categorical"), ("latent.family", "vq")
SAMPLED = ("latent.family", "gaussian", "bernoulli", "categorical")
IMAGES = ("problem.name", "vae")
GAUSSIAN = ("problem.name", "gaussian_quadratic", "gaussian_exp", "gaussian_cosine")
BITS = ("problem.name", "bernoulli_bits")
TOKENS = ("problem.name", "tokens")
OWN, BALLS, DRAWN = ("data.name", "file"), ("data.name", "balls"), ("data.name", "balls", "pusher")
SEQUENCE = ("model.task", "sequence")

RULES: dict[str, Rule] = {
    "option": TEXT._replace(optional=True),
    "name": FOLDER,
    "output": TEXT,
    "seed": _whole(),
    **{f"seeds.{stream}": _whole() for stream in ("model", "data", "estimator", "measure")},
    "engine": _one_of("eager", "compile", "graph", "compiled_graph"),
    "engine_fallback": _one_of("none", "eager"),
    "replicas": _whole(1, FEW),
    "device": _one_of("auto", "cpu", "cuda"),
    "threads": _whole(1, 1024),
    "dtype": _one_of("float32", "float64"),
    "precision": _one_of("highest", "tf32"),
    "deterministic": FLAG,
    "problem.name": _one_of(
        *IMAGES[1:], *GAUSSIAN[1:], *BITS[1:], "bernoulli_coupled", "logistic_regression", "tokens"
    ),
    "problem.k": _real(only=GAUSSIAN),
    "problem.mean": _real(only=GAUSSIAN),
    "problem.std": POSITIVE._replace(only=GAUSSIAN),
    "problem.dim": _whole(1, MANY, only=BITS),
    "problem.t": _real(0, 1, only=BITS),
    "problem.power": _real(1, only=BITS),
    "problem.logit": _real(only=BITS),
    "problem.vocabulary": _whole(2, 64, only=TOKENS),
    "problem.length": _whole(1, 16, only=TOKENS),
    "problem.prompts": _whole(1, MANY, only=TOKENS),
    "problem.policy": _one_of("own", "shared", only=TOKENS),
    "problem.spread": _real(0, only=TOKENS),
    "latent.family": _one_of("gaussian", "bernoulli", "categorical", "vq", only=IMAGES),
    "latent.dim": _whole(1, MANY, only=IMAGES),
    "latent.layers": _whole(1, MANY, many=True, mappings=True, optional=True, only=SAMPLED),
    "latent.categories": _whole(2, MANY, only=CATEGORICAL),
    "latent.positions": _whole(1, MANY, only=VQ),
    "latent.codes": _whole(2, MANY, only=VQ),
    "latent.stages": _whole(1, FEW, only=VQ),
    "latent.residual_detach": FLAG._replace(only=VQ),
    "latent.temperature": _real(0, only=VQ),
    "latent.codebook": _one_of("gradient", "ema", "simvq", "fsq", "lfq", only=VQ),
    "latent.levels": _whole(2, MANY, many=True, only=("latent.codebook", "fsq")),
    "latent.codebook_weight": _real(0, only=VQ),
    "latent.commitment_weight": _real(0, only=VQ),
    "latent.decay": _real(0, 1, only=VQ),
    "latent.restart": _real(0, only=VQ),
    "model.task": _one_of("generative", "structured", "sequence", only=IMAGES),
    "model.decoder": _one_of("network", "experts", only=IMAGES),
    "model.arch": _one_of("linear", "mlp", "conv", only=IMAGES),
    "model.hidden": _whole(1, MANY, many=True, only=IMAGES),
    "model.activation": _one_of("relu", "tanh", "leaky_relu", only=IMAGES),
    "model.slope": _real(0, 1, only=IMAGES),
    "model.init": _one_of("torch", "glorot", only=IMAGES),
    "model.likelihood": _one_of("bernoulli", "gaussian", "categorical256", only=IMAGES),
    "model.std": POSITIVE._replace(only=IMAGES),
    "model.learn_std": FLAG._replace(only=IMAGES),
    "model.prior": _one_of("fixed", "learned", only=IMAGES),
    "model.center_input": FLAG._replace(only=IMAGES),
    "model.signed_latent": FLAG._replace(only=IMAGES),
    "model.output_bias": _one_of("none", "init", "constant", only=IMAGES),
    "model.kernels": _whole(1, FEW, many=True, optional=True, only=IMAGES),
    "model.strides": _whole(1, FEW, many=True, optional=True, only=IMAGES),
    "model.steps": _whole(1, MANY, optional=True, only=SEQUENCE),
    "model.state": _whole(1, MANY, only=SEQUENCE),
    "model.unimix": _real(0, only=SEQUENCE)._replace(expected="a number from 0 to below 1", holds=lambda v: 0 <= v < 1),
    "model.balance": _real(0, many=True, only=SEQUENCE)._replace(expected="two numbers, 0 or more"),
    "data.name": _one_of(
        *("digits", "mnist", "fashion_mnist", "omniglot", "static_mnist", "cifar10", "svhn"),
        *DRAWN[1:],
        "file",
        only=IMAGES,
    ),
    "data.root": TEXT._replace(only=IMAGES),
    "data.path": TEXT._replace(optional=True, only=OWN),
    "data.layout": _one_of("auto", "nchw", "nhwc", only=OWN),
    "data.levels": _whole(1, 255, optional=True, only=OWN),
    "data.test_size": _real(0, 1, only=OWN),
    "data.split_seed": _whole(only=OWN),
    "data.digest": TEXT._replace(optional=True, only=OWN),
    "data.frames": _whole(1, FEW, only=BALLS),
    "data.size": _whole(4, FEW, only=DRAWN),
    "data.objects": _whole(1, FEW, only=BALLS),
    "data.examples": _whole(1, MANY, only=DRAWN),
    "data.draw_seed": _whole(0, 2**32 - 1, only=DRAWN),
    "data.binarisation": _one_of("dynamic", "static", "threshold", "none", only=IMAGES),
    "data.dequantise": FLAG._replace(only=IMAGES),
    "data.train_size": _whole(1, MANY, optional=True, only=IMAGES),
    "data.download": FLAG._replace(only=IMAGES),
    "objective.kl": _one_of("analytic", "sampled", "k1_loss", "k2_loss", "k3_loss", "k3_reward"),
    "objective.beta": _real(0),
    "train.steps": _whole(0, STEPS),
    "train.batch_size": _whole(1, MANY),
    "train.optimiser": _one_of("adam", "adamw", "nadam", "radam", "sgd"),
    "train.lr": POSITIVE,
    "train.betas": _real(0, 1, many=True)._replace(expected="two numbers from 0 to below 1"),
    "train.eps": POSITIVE,
    "train.momentum": _real(0, 1),
    "train.nesterov": FLAG,
    "train.momentum_decay": _real(0),
    "train.weight_decay": _real(0),
    "train.clip_norm": POSITIVE._replace(optional=True),
    "train.schedule": _one_of("constant", "cosine", "warmup_cosine", "step", "tripling", "linear"),
    "train.warmup": _whole(0, STEPS),
    "train.end_factor": _real(0, 1),
    "train.decay_steps": _whole(1, STEPS),
    "train.decay_factor": POSITIVE,
    "train.tuning_lr": POSITIVE,
    "measure.at": FRACTIONS,
    "measure.draws": _whole(2, MANY),
    "measure.batches": _whole(1, MANY),
    "measure.batch_size": _whole(1, MANY),
    "measure.layers": FLAG,
    "measure.reference": TEXT,  # none, auto, exact or an unbiased estimator: see `check_reference`
    "measure.reference_draws": _whole(2, MANY),
    "measure.memory": _whole(1, MANY, optional=True),
    "measure.precision": _real(0, above=True, optional=True),
    "measure.max_draws": _whole(2, MANY),
    "measure.papers": FLAG,
    "evaluate.at": FRACTIONS,
    "evaluate.examples": _whole(1, MANY, optional=True),
    "evaluate.samples": _whole(1, MANY),
    "evaluate.prior_samples": _whole(0, MANY),
    "evaluate.images": _whole(0, FEW),
    "timing.repetitions": _whole(0, 2**16),
    "timing.warmup": _whole(0, 2**16),
    "timing.block": _real(0, 10),
    "timing.error": _real(0, 1),
    "sweep.retry": _one_of("changed", "failed", "keep"),
    "sweep.fail_fast": FLAG,
    "sweep.time_limit": POSITIVE._replace(optional=True),
    "sweep.checkpoint_seconds": _real(0, optional=True),
}

PROBE: dict[str, Rule] = {  # of `python -m bench.probe` alone
    "probe.estimators": Rule(str, "all, or a list of estimators", bool, many=True),
    "probe.checkpoint": TEXT._replace(optional=True),
    "probe.at": FRACTIONS,
    "probe.tuning_steps": _whole(0, STEPS),
    "probe.batch_sizes": _whole(1, MANY, many=True),
}

TUNE: dict[str, Rule] = {  # of `python -m bench.tune` alone
    **dict.fromkeys(("budget", "tune.fresh"), _whole(1, FEW)),
    "tune.lr": POSITIVE._replace(many=True, expected="two numbers above 0, the lower one first"),
    "tune.split": _one_of("validation", "train"),
    "tune.halving": FRACTIONS,
    **{f"tune.points.{key}": FRACTIONS._replace(optional=key != "lr") for key in ("lr", "temperature", "k", "scale")},
}
