"""What the arguments of `bench.measure` and `bench.train` mean."""

from bench.errors import BadInput
from bench.model.adapted import Adapted
from bench.model.objective import KL_FORMS
from estimators import Estimator


def kl_of(kl: str, made: Estimator, own: Adapted) -> str:
    """How the KL enters; `auto` is analytic unless the estimator or the model needs it sampled. Raises BadInput at
    another word."""
    if kl not in ("auto", *KL_FORMS):
        raise BadInput(f"kl={kl} does not exist: there is auto, {', '.join(KL_FORMS)}.")
    if kl != "auto":
        return kl
    return "sampled" if made.objective == "iwae" or made.kl == "sampled" or own.prior_has_density_alone else "analytic"
