"""Finds whoever else has the name "airflow".

1. A real Airflow is a regular package elsewhere on the search path. It takes the stand-in's place,
   under the same module object, as if it had been found first.
2. Provider packages have no airflow/__init__.py: their parts of the namespace are added to the
   stand-in's own path, so that airflow.providers is found.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def step_aside(module: ModuleType) -> bool:
    """Tells whether a real Airflow has taken the place of the module, which is "airflow" being imported."""
    import importlib.machinery

    own = os.path.dirname(os.path.dirname(os.path.abspath(module.__file__ or "")))
    elsewhere = [place for place in sys.path if os.path.abspath(place or ".") != own]
    found = importlib.machinery.PathFinder.find_spec("airflow", elsewhere)
    if found is None:
        return False
    if found.loader is not None and found.origin is not None:
        module.__spec__, module.__file__, module.__loader__ = found, found.origin, found.loader
        module.__path__ = list(found.submodule_search_locations or [])
        loader: Any = found.loader
        loader.exec_module(module)
        return True
    module.__path__ = [*module.__path__, *(found.submodule_search_locations or [])]
    return False
