"""Takes a name out of a package that need not be installed, and that no type checker is to know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def take(module: str, name: str) -> Any:
    """The attribute of a module. Raises ImportError where there is no such module, or no such name in it."""
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except AttributeError:
        raise ImportError(f"{module} has no {name}") from None
