"""What a bias is a distance from: the same objective under an estimator without one."""

from bench.config.plugins import estimator
from bench.errors import Impossible
from bench.model.objective import Objective
from bench.problems import Known, Problem
from bench.settings import Config
from estimators import Estimator, Gaussian, Latent


def reference_of(objective: Objective, q: Latent, config: Config) -> Objective | None:
    """The reference that `measure.reference` asks for; `auto` is exact where that is possible, and what a problem knows
    of itself is exact.

    None where none is asked for, and where the estimator optimises another bound, from whose gradient a difference
    would be no bias.

    Raises:
        Impossible: the one that is named cannot be had for this model.
    """
    name, model = config["measure"]["reference"], objective.model
    if name == "none":
        return None
    if name in ("auto", "exact") and isinstance(model, Problem) and model.gradient() is not None:
        made: Estimator = Known(model.gradient)
    else:
        made = estimator(unbiased(q) if name == "auto" else name).to(q.params.device, q.params.dtype)
    kl = objective.kl if objective.kl == "sampled" else "analytic"  # the gradient of the bound, however it is estimated
    reference = type(objective)(model, made, kl, objective.beta)
    if made.objective != objective.estimator.objective:
        return None
    if reason := reference.impossible(q):
        if name == "auto":
            return None
        raise Impossible(f"measure.reference={name} is not possible here: {reason}")
    return reference


def unbiased(q: Latent) -> str:
    """The estimator to compare with: exact where there are few enough points, else one that samples."""
    if estimator("exact").refuses(q) is None:
        return "exact"
    return "reparam" if isinstance(q, Gaussian) else "rloo"
