"""The reference of a bias: the same objective under an unbiased estimator."""

from bench.config.plugins import estimator
from bench.errors import Impossible
from bench.model.objective import Objective
from bench.problems import Known, Problem
from bench.settings import Config
from estimators import Estimator, Gaussian, Latent


def reference_of(objective: Objective, q: Latent, config: Config) -> Objective | None:
    """The objective under the estimator that `measure.reference` names; `auto` takes exact where that is possible, and
    otherwise an unbiased estimator.

    A problem that knows its own gradient gives that as exact.

    Returns:
        None if no reference is asked for, or if the estimator optimises another bound than the reference, since their
        difference would not be a bias.

    Raises:
        Impossible: the named reference cannot be computed for this model.
    """
    name, model = config["measure"]["reference"], objective.model
    if name == "none":
        return None
    kl = objective.kl if objective.kl == "sampled" else "analytic"  # the gradient of the bound, however it is estimated
    for option in ("exact", drawn(q), "rloo") if name == "auto" else (name,):  # rloo: of layers of several families
        if name in ("auto", "exact") and isinstance(model, Problem) and model.gradient() is not None:
            made: Estimator = Known(model.gradient)
        else:
            made = estimator(option).to(q.params.device, q.params.dtype)
        reference = type(objective)(model, made, kl, objective.beta)
        if made.objective != objective.estimator.objective:
            return None
        if (reason := reference.impossible(q)) is None:
            return reference
    if name == "auto":
        return None
    raise Impossible(f"measure.reference={name} is not possible here: {reason}")


def unbiased(q: Latent) -> str:
    """The name of the reference for q: exact if there are few enough states or nodes, else an unbiased estimator."""
    return "exact" if estimator("exact").refuses(q) is None else drawn(q)


def drawn(q: Latent) -> str:
    """The name of an unbiased estimator for q that samples."""
    return "reparam" if isinstance(q, Gaussian) else "rloo"
