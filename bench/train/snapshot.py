"""Detection of changes in a module's buffers and attributes between two moments."""

from torch import Tensor, nn

MACHINERY = vars(nn.Module()).keys()  # attributes that every module has


class Snapshot:
    """The buffers and attributes of every submodule at one moment: a tensor's identity, and any other value."""

    def __init__(self, module: nn.Module):
        self.found = {
            f"{name}.{key}".lstrip("."): id(value) if isinstance(value, Tensor) else repr(value)
            for name, child in module.named_modules()
            for key, value in {**child._buffers, **vars(child)}.items()
            if key not in MACHINERY
        }

    def changed(self, after: "Snapshot") -> list[str]:
        """The names of buffers and attributes that differ in the later snapshot `after`."""
        return [key for key in {**self.found, **after.found} if self.found.get(key) != after.found.get(key)]
