"""Steps that wait for the device or mix devices on purpose, each of which must be seen."""

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from tests.support.pretended.gpu import Graph, Watch

FAULTS: dict[str, Callable[[Tensor], object]] = {
    "nothing": lambda c: (c * 2).sum(),
    "nothing looked at": lambda c: torch.linalg.cholesky_ex(torch.ones_like(c).diag())[0],
    "mixes": lambda c: torch.ops.aten.add.Tensor(c, torch.ones(4)),
    "item": lambda c: c.sum().item(),
    "branch": lambda c: c if c.sum() > 0 else -c,
    "tensor": lambda c: c + torch.tensor([1.0] * 4, device="cuda"),
    "sent": lambda c: c + torch.ones(4).to("cuda"),
    "fetched": lambda c: c.cpu(),
    "mask": lambda c: c[c > 0],
    "list": lambda c: c[[0, 1]],
    "host indices": lambda c: c[torch.arange(2)],
    "where": lambda c: torch.where(c > 0, c, torch.tensor(0.0)),
    "multinomial": lambda c: torch.multinomial(c.abs() + 1, 1),
    "nonzero": lambda c: c.nonzero(),
    "unique": lambda c: c.unique(),
    "eigh": lambda c: torch.linalg.eigh(torch.outer(c, c)),
    "inv": lambda c: torch.linalg.inv(torch.outer(c, c) + torch.ones_like(c).diag()),
    "solve": lambda c: torch.linalg.solve(torch.ones_like(c).diag(), c),
    "cholesky": lambda c: torch.linalg.cholesky(torch.ones_like(c).diag()),
    "synchronize": lambda c: torch.cuda.synchronize(),
}


def seen() -> dict[str, tuple[list[str], bool]]:
    """By fault: the kinds of what was seen, each once, and whether a graph can capture it."""
    found = {}
    for name, work in FAULTS.items():
        c = torch.tensor([1.0, -2.0, 3.0, 0.5]).to("cuda")
        with Watch() as watch, suppress(RuntimeError):  # devices that are mixed are an error besides
            work(c)
        try:
            with Watch(), torch.cuda.graph(Graph()):
                work(c)
            captured = True
        except RuntimeError:
            captured = False
        found[name] = sorted({s.kind for s in watch.seen}), captured
    return found


def into_rows() -> list[float]:
    """Noise that was drawn into the rows of a tensor, and a row that was not."""
    values = torch.zeros(3, 4, device="cuda")
    stream = torch.Generator("cuda").manual_seed(1)
    for row in values[:2]:
        torch.rand(4, generator=stream, out=row)
    return values.flatten().tolist()
