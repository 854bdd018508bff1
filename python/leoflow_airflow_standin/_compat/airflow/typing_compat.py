"""Names of typing that older Pythons lack."""

from typing import Literal, Protocol, TypedDict, runtime_checkable

try:
    from typing import ParamSpec, TypeGuard
except ImportError:  # before Python 3.10
    from typing_extensions import ParamSpec, TypeGuard

__all__ = [
    "Literal",
    "ParamSpec",
    "Protocol",
    "TypeGuard",
    "TypedDict",
    "runtime_checkable",
]
