"""What an estimator must be before anything can be done with it: each fault in a sentence with its mend.

The harness asks before it trains, and the conformance kit before it looks closer.
"""

from collections.abc import Mapping
from typing import Any

from torch import Size, Tensor

from estimators import Estimate, Estimator, Latent, Range

RETURN = "end it with return Estimate(loss, cost)"
TAGS = {
    "latents": "latents = (Bernoulli,), the families that it can differentiate",
    "unbiased": "unbiased = True or unbiased = False",
    "evaluations": 'evaluations = "k / 0", cost evaluations forward / backward',
    "tunable": 'tunable = {"k": Range(2, 8)}, or nothing',
}


def undeclared(estimator: type[Estimator] | Estimator) -> str | None:
    """Which of these tags it lacks, or has as something else. A class may leave `unbiased` to its
    instances: hand in one of these."""
    for tag, line in TAGS.items():
        if declared(estimator, tag) is None:
            what = repr(getattr(estimator, tag)) if hasattr(estimator, tag) else "not declared"
            return f"the tag {tag} is {what}: write {line}, in the class"
    return None


def misreturned(estimate: Any, shape: Size | tuple[int, ...]) -> str | None:
    """What is wrong with what forward returned, where q's batch shape is `shape`."""
    if not isinstance(estimate, Estimate):
        what = "None" if estimate is None else f"a {type(estimate).__name__}"
        return f"forward returns {what}, not an Estimate: {RETURN}"
    for field in ("loss", "cost", "tuning"):
        value = getattr(estimate, field)
        if value is None and field == "tuning":
            continue
        if not isinstance(value, Tensor):
            what = "None" if value is None else f"a {type(value).__name__}"
            return f"{field} is {what}, not a tensor: {RETURN}, one value per example each"
        if value.shape != shape:
            return (
                f"{field} has the shape {list(value.shape)} where q's batch is {list(shape)}: reduce over samples and "
                "units alone, since examples never meet"
            )
    if not estimate.loss.requires_grad:
        return "the loss has no gradient: its gradient is the estimate, so something in it depends on q undetached"
    return None


def undetached(estimator: Estimator) -> str | None:
    """What update has left in the estimator with the graph of the estimate that it was handed."""
    for path, module in estimator.named_modules():
        for name, value in [*module._buffers.items(), *vars(module).items()]:
            if isinstance(value, Tensor) and value.requires_grad:
                where = f"{path}.{name}".lstrip(".")
                return f"update leaves {where} with a gradient: detach what it takes, as in estimate.cost.detach()"
    return None


def declared(estimator: type[Estimator] | Estimator, tag: str, otherwise: Any = None) -> Any:
    """Its tag, or this where it has none or something else."""
    value = getattr(estimator, tag, None)
    if tag == "latents":
        right = isinstance(value, tuple) and bool(value) and all(_is_latent(family) for family in value)
    elif tag == "tunable":
        right = isinstance(value, Mapping) and all(isinstance(each, Range) for each in value.values())
    else:
        right = isinstance(value, bool) if tag == "unbiased" else isinstance(value, str) and bool(value)
    return value if right else otherwise


def _is_latent(family: Any) -> bool:
    return isinstance(family, type) and issubclass(family, Latent)
