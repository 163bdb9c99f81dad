"""Anyone's own module where the suite expects a model of its own."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from estimators import Latent

OWN = "module."  # before the names of its parameters


@runtime_checkable
class Model(Protocol):
    """What `bench.measure` and `bench.train` need of an `nn.Module`.

    Four more methods may be there. `prior() -> Latent`: p(z), of q's family, broadcastable to q's batch; without it,
    and without `log_prior`, the prior is the family's standard one. `log_prior(z) -> Tensor`: log p(z) `[K, B]`; alone
    it makes the KL a part of the cost (`kl="sampled"`). `fixed(q) -> Tensor`: further terms of the loss `[B]` that need
    no sample, such as a commitment loss. `mean_images(z) -> Tensor`: an image of each point `[K, B, ...]`, from 0 to 1,
    which a run keeps for its report.
    """

    def encode(self, x: Tensor) -> Latent:
        """q(z|x) of a batch `x [B, ...]`: its batch shape is `[B]`."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats: `x [B, ...]`, points `z [K, B, *]` -> `[K, B]`."""


class Adapted(nn.Module):
    """A user's module as the measuring code and the trainer see a model: `z` may have more axes than K and B.

    Args:
        module: of the protocol `Model`.
        x: a batch `[B, ...]`; the parameters that its q.params depend on are the encoder's, all others the decoder's.

    Attributes:
        separates: whether the rows of linear layers stand in the order of K, draws and B, so that many draws may pass
            through the module as one batch. What is not known to is passed through one draw at a time.
        shape: of an example as the module takes it, where x has rows; None: as x has it.
    """

    codebook = None

    def __init__(self, module: nn.Module, x: Tensor):
        super().__init__()
        self.module, self.separates = module, False
        self.shape: tuple[int, ...] | None = None
        own: Any = module
        q: Latent = own.encode(x)
        self.point_ndim = q.point_ndim
        learned = [p for p in module.parameters() if p.requires_grad]
        grads: Any = [None] * len(learned)
        if q.params.requires_grad:
            grads = torch.autograd.grad(q.params.sum(), learned, allow_unused=True)
        found = {id(p) for p, grad in zip(learned, grads, strict=True) if grad is not None}
        self.feeding = {n for n, p in self.named_parameters(remove_duplicate=False) if id(p) in found}

    def _optional(self, name: str) -> Any:
        return getattr(self.module, name, None)

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.shape is None else x.unflatten(-1, self.shape)

    def encode(self, x: Tensor) -> Latent:
        """`x [B, ...]` -> q with `params [B, *]`."""
        return self.module.encode(self._seen(x))  # type: ignore[operator]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z): `x [B, ...]`, `z [K, ..., B or 1, *]` -> `[K, ..., B]`."""
        return self(x, z)  # a call, so that who records its layers knows the axes of z

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """The same; the module is handed `[K, B, *]`."""
        lead, point = self.lead(x, z), z.shape[z.ndim - self.point_ndim :]
        rows = z.expand(*lead, *point).reshape(-1, len(x), *point)
        return self.module.log_likelihood(self._seen(x), rows).reshape(lead)  # type: ignore[operator]

    def lead(self, x: Tensor, z: Tensor) -> tuple[int, ...]:
        """`[K, ..., B]`."""
        return (*z.shape[: z.ndim - self.point_ndim - 1], len(x))

    def prior(self) -> Latent | None:
        """The module's own, or None for the family's standard one."""
        prior = self._optional("prior")
        return None if prior is None else prior()

    @property
    def prior_has_density_alone(self) -> bool:
        """Whether the prior is a function of z and no distribution, so that the KL to it has to be sampled."""
        return self._optional("log_prior") is not None and self._optional("prior") is None

    def log_prior(self, z: Tensor, q: Latent) -> Tensor:
        """log p(z) `[K, ..., B]`."""
        own = self._optional("log_prior")
        if own is None:
            return (self.prior() or q.standard()).log_prob(z)
        lead, point = z.shape[: z.ndim - self.point_ndim], z.shape[z.ndim - self.point_ndim :]
        return own(z.reshape(-1, lead[-1], *point)).reshape(lead)

    def losses(self, q: Latent) -> Tensor | None:
        """The module's further terms of the loss `[B]`, or None."""
        own = self._optional("fixed")
        return None if own is None else own(q)

    @property
    def shows(self) -> bool:
        """Whether it has images of points, and points of the prior."""
        return self._optional("mean_images") is not None and not self.prior_has_density_alone

    def mean_images(self, z: Tensor) -> Tensor:
        """The module's own, `[K, B, X]` of points `z [K, B, *]`."""
        return self._optional("mean_images")(z).flatten(2)

    def encodes(self, name: str) -> bool:
        """Whether a parameter of this name, or the weight of a layer of this name, feeds q."""
        return name in self.feeding or f"{name}.weight" in self.feeding

    def block(self, name: str) -> str:
        """What a layer or a parameter is called where it is measured: its own name after that of its part."""
        part, own = "encoder" if self.encodes(name) else "decoder", name.removeprefix(OWN)
        return own if own.startswith(f"{part}.") else f"{part}.{own}"


def encodes(model: nn.Module, name: str) -> bool:
    """Whether a parameter or a layer of this name belongs to the encoder, or to layer 1 of several: to what reads x
    alone, and runs once for all draws of a gradient."""
    return (
        model.encodes(name) if isinstance(model, Adapted) else name.startswith(f"{getattr(model, 'root', 'encoder')}.")
    )


def block_of(model: nn.Module, name: str) -> str:
    """The block of a gradient that a layer or a parameter of this name is."""
    return model.block(name) if isinstance(model, Adapted) else name
