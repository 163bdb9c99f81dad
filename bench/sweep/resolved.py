"""The plain values of a composed configuration."""

import re
from typing import TYPE_CHECKING, Any

from omegaconf import AnyNode, Node, OmegaConf

if TYPE_CHECKING:
    from omegaconf import DictConfig

MISSING = "???"
KEY = re.compile(r"\$\{(\w+(?:\.\w+)*)\}")


def resolved(cfg: "DictConfig") -> dict[str, Any]:
    """As `OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)`, in a twentieth of its time, without which
    a job would take half as long again. Raises as it."""
    try:
        return _plain(cfg)
    except Exception:  # OmegaConf says what is wrong
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def _plain(node: Node) -> Any:
    held = _held(node)
    if isinstance(held, str) and "${" in held:
        if type(node) is AnyNode and (key := KEY.fullmatch(held)):  # with no type to convert to
            return _plain(_at(node, key[1].split(".")))
        held = _held(node._dereference_node())
    if isinstance(held, dict):
        return {key: _plain(child) for key, child in held.items()}
    if isinstance(held, list):
        return [_plain(child) for child in held]
    if isinstance(held, Node):  # of one of several types
        return _plain(held)
    if held == MISSING:
        raise ValueError
    return held


def _held(node: Node) -> Any:
    own = vars(node)
    return own["_val"] if "_val" in own else own["_content"]


def _at(node: Node, words: list[str]) -> Node:
    """What stands there, counted from the top. Raises KeyError, TypeError or IndexError."""
    found: Any = node._get_root()
    for word in words:
        found = _held(found)[word]
    return found
