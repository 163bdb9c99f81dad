"""What moves in a module between two moments, beside its parameters."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    pass


MACHINERY = vars(nn.Module()).keys()  # attributes that every module has


def attributes(module: nn.Module) -> dict[str, Any]:
    """What each buffer and each plain attribute of every submodule is: for a tensor which one, not its values."""
    return {
        f"{name}.{key}".lstrip("."): id(value) if isinstance(value, Tensor) else repr(value)
        for name, child in module.named_modules()
        for key, value in {**child._buffers, **vars(child)}.items()
        if key not in MACHINERY
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what is not as it was."""
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]
