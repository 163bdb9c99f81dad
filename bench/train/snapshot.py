"""What moves in a module between two moments, beside its parameters."""

from torch import Tensor, nn

MACHINERY = vars(nn.Module()).keys()  # attributes that every module has


class Snapshot:
    """What each buffer and each plain attribute of every submodule is: for a tensor which one, not its values."""

    def __init__(self, module: nn.Module):
        self.found = {
            f"{name}.{key}".lstrip("."): id(value) if isinstance(value, Tensor) else repr(value)
            for name, child in module.named_modules()
            for key, value in {**child._buffers, **vars(child)}.items()
            if key not in MACHINERY
        }

    def changed(self, after: "Snapshot") -> list[str]:
        """The names of what is not as it was."""
        return [key for key in {**self.found, **after.found} if self.found.get(key) != after.found.get(key)]
