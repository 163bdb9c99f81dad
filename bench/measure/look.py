"""Checks of a user's module before it is measured. Each refusal is one sentence."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import BadInput
from bench.measure.gradient.layers import CONVOLUTIONS, by_draw, recorded
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.ties import shown, tied, unmoved
from bench.model.adapted import Adapted
from bench.streams import own_stream
from estimators import Latent

METHODS = ("encode", "log_likelihood")


def adapted(module: Any, x: Tensor, seed: int = 0) -> Adapted:
    """Check the module on one batch `x [B, ...]`, and wrap it as a model of the suite; `seed` is that of the noise.

    Raises:
        BadInput: the module lacks a method, has no trainable parameter, gives a wrong shape or a value that is not
            finite, has noise of its own, mixes examples, or uses a parameter both for q and for the rest.
    """
    _has_methods(module)
    _on_one_device(module, x)
    with torch.enable_grad(), own_stream(seed, "looking"), unmoved(module):
        q = _posterior(module, x)
        made = Adapted(module, x)
        if not made.feeding:
            raise BadInput("encode(x) depends on no trainable parameter, so q has no gradient to pass on.")
        z = q.sample(2)
        _likelihood(module, x, z)
        _examples_apart(module, x, q, z)
        _extras(made, q, z, x)
        _nothing_shared(made, q, x, z)
        tied(made)
        made.separates = _separates(made, q, x)
    return made


def _has_methods(module: Any) -> None:
    name = type(module).__name__
    if not isinstance(module, nn.Module):
        raise BadInput(f"A model is a torch.nn.Module with encode(x) and log_likelihood(x, z); got a {name}.")
    for method in METHODS:
        if not callable(getattr(module, method, None)):
            raise BadInput(
                f"{name} has no method {method}: a model needs encode(x), which gives q, and log_likelihood(x, z), "
                "which gives nats [K, B]."
            )
    if not any(p.requires_grad for p in module.parameters()):
        raise BadInput(f"{name} has no trainable parameter: nothing of it has a gradient.")


def _on_one_device(module: nn.Module, x: Tensor) -> None:
    devices = sorted({str(p.device) for p in module.parameters()})
    if len(devices) > 1:
        raise BadInput(f"The model lies on {' and '.join(devices)}; it has to be on one device.")
    if str(x.device) != devices[0]:
        raise BadInput(f"The batches are on {x.device} and the model is on {devices[0]}: move one of them with .to().")


def _posterior(module: Any, x: Tensor) -> Latent:
    q = module.encode(x)
    if not isinstance(q, Latent):
        raise BadInput(
            f"encode(x) has to give a latent distribution of the package estimators, such as Bernoulli(logits); it "
            f"gives a {type(q).__name__}."
        )
    if tuple(q.batch_shape) != (len(x),):
        raise BadInput(
            f"encode(x) of {len(x)} examples has to give q with the batch shape [{len(x)}]; with params "
            f"{list(q.params.shape)} it is {list(q.batch_shape)}."
        )
    _finite("encode(x)", q.params)
    return q


def _likelihood(module: Any, x: Tensor, z: Tensor) -> None:
    found, wanted = module.log_likelihood(x, z), tuple(z.shape[:2])
    _shaped("log_likelihood(x, z)", found, wanted, f"of points z {list(z.shape)}")
    _finite("log_likelihood(x, z)", found)
    if not _close(module.log_likelihood(x, z), found):
        raise BadInput(
            "log_likelihood(x, z) gives other values for the same points: noise of its own, which is not the "
            "estimator's; call .eval() on the model."
        )


def _extras(made: Adapted, q: Latent, z: Tensor, x: Tensor) -> None:
    """Check the optional methods: `prior`, `log_prior`, `fixed` and `mean_images`."""
    own: Any = made.module
    if hasattr(own, "prior"):
        if not isinstance(own.prior(), Latent):
            raise BadInput(f"prior() has to give a latent distribution; it gives a {type(own.prior()).__name__}.")
        _shaped("the KL of q to prior()", q.kl(own.prior()), tuple(z.shape[1:2]), f"for {z.shape[1]} examples")
    if hasattr(own, "log_prior"):
        found = own.log_prior(z)
        _shaped("log_prior(z)", found, tuple(z.shape[:2]), f"of points z {list(z.shape)}")
        if hasattr(own, "prior") and not _close(own.prior().log_prob(z).expand_as(found), found):
            raise BadInput("log_prior(z) is not the density of prior(): leave one of them out.")
    if hasattr(own, "fixed"):
        _shaped("fixed(q)", own.fixed(q), tuple(z.shape[1:2]), f"for {z.shape[1]} examples")
    if hasattr(own, "mean_images"):
        found, wanted = own.mean_images(z), [*z.shape[:2], *x.shape[1:]]
        if not isinstance(found, Tensor) or found.shape[:2] != z.shape[:2] or found.numel() != math.prod(wanted):
            shape = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise BadInput(
                f"mean_images(z) of points z {list(z.shape)} has to give {wanted}, an image each; it gives {shape}."
            )


def _shaped(what: str, found: Any, wanted: tuple[int, ...], of: str) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        shape = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise BadInput(f"{what} {of} has to give {list(wanted)}, a value in nats for each; it gives {shape}.")


def _finite(what: str, found: Tensor) -> None:
    if not found.isfinite().all():
        raise BadInput(f"{what} is not finite for the first batch: {int((~found.isfinite()).sum())} values are not.")


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors agree to the square root of the machine precision, far above the rounding of sums."""
    bound = torch.finfo(one.dtype).eps ** 0.5 * max(float(other.detach().abs().max()), 1e-6)
    return bool(((one - other).abs() <= bound).all())


def _examples_apart(module: Any, x: Tensor, q: Latent, z: Tensor) -> None:
    """Check that every example has the same value in two other orders, and among copies of itself."""
    numbers = torch.arange(len(x), device=x.device)
    orders = [numbers.flip(0), torch.randperm(len(x)).to(x.device), torch.full_like(numbers, len(x) - 1)]
    value = module.log_likelihood(x, z)
    for order in orders:
        if not _close(module.encode(x[order]).params, q.params[order]):
            raise BadInput(
                "encode(x) mixes examples: q of an example changes with the others of its batch, and estimators need "
                "one q for each."
            )
        if not _close(module.log_likelihood(x[order], z[:, order]), value[:, order]):
            raise BadInput(
                "log_likelihood(x, z) mixes examples: the value of an example changes with the others of its batch; "
                "reduce over the axes of one example alone."
            )
    if not all(_close(module.log_likelihood(x, z[points]), value[points]) for points in ([0], [1, 1])):
        raise BadInput(
            "log_likelihood(x, z) mixes points: the value of z[k] changes with the other points, and each is a sample "
            "of its own."
        )


def _nothing_shared(made: Adapted, q: Latent, x: Tensor, z: Tensor) -> None:
    """Check that no parameter feeds both q and the rest, as a prior made from the encoder would."""
    fixed = q.detach()
    values = [made.log_likelihood(x, z).sum(), made.log_prior(z, fixed).sum()]
    if not made.prior_has_density_alone:
        values.append(fixed.kl(made.prior()).sum())
    if (own := made.losses(fixed)) is not None:
        values.append(own.sum())
    feeding = [(n, p) for n, p in made.named_parameters() if n in made.feeding]
    total = torch.stack([v for v in values if v.requires_grad] or [torch.zeros((), requires_grad=True)]).sum()
    grads = torch.autograd.grad(total, [p for _, p in feeding], allow_unused=True)
    if both := [shown(n) for (n, _), grad in zip(feeding, grads, strict=True) if grad is not None]:
        raise BadInput(
            f"{both[0]} feeds q and is used for log p(x|z), the prior or fixed(q) as well, so that its gradient is of "
            "no part; give each its own parameters."
        )


def _separates(made: Adapted, q: Latent, x: Tensor) -> bool:
    """Whether a draw's rows of every layer can be separated: its other points change its rows and no others."""
    point = q.sample(4).unflatten(0, (2, 2))  # [K, draws, B, *]
    other = point.clone()
    other[:, 0] = q.sample(2).flip(1)  # points of other examples, in case q is a point mass
    seen = []
    for z in (point, other):
        with recorded(made, PLANS[x.device.type].folds) as calls:
            made.log_likelihood(x, z)
        seen.append(calls)
    if len(seen[0]) != len(seen[1]):
        return False
    for one, changed in zip(*seen, strict=True):
        if len(one.lead) < 3 or one.lead[:3] != made.lead(x, point):
            return False
        width = len(one.convolution.kernel_size) + 1 if isinstance(one.convolution, CONVOLUTIONS) else 1
        before, after = (by_draw(call.output.detach(), call.lead, 2, width) for call in (one, changed))
        if not _close(before[1], after[1]) or torch.equal(before[0], after[0]):
            return False
    return True
