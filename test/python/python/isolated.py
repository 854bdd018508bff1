"""Uses the packages as they lie in their wheels, isolated from environment and working directory: python -I isolated.py WHEEL …"""
import sys

sys.path[:0] = sys.argv[1:]

import importlib
import os
import pkgutil
import tempfile

import leoflow_runtime
from leoflow_runtime import Refused, get_connection, get_variable
from leoflow_runtime.testing import FakeVolume

for module in pkgutil.walk_packages(leoflow_runtime.__path__, "leoflow_runtime."):
    # These three are started by what they need.
    if module.name.rpartition(".")[2] not in ("__main__", "backend", "pytest_plugin"):
        importlib.import_module(module.name)

with tempfile.TemporaryDirectory() as place:
    os.environ["LEOFLOW_DIR"] = os.path.join(place, "volume")
    volume = FakeVolume(os.environ["LEOFLOW_DIR"])
    volume.connection("warehouse", "postgres://u:p@h/db")
    volume.refuse("variable", "region")
    assert get_connection("warehouse").password == "p"

    from airflow.hooks.base import BaseHook
    from airflow.sdk import Variable

    assert BaseHook.get_connection("warehouse").login == "u"
    for look in (get_variable, Variable.get):
        try:
            look("region", default="eu")
        except Refused:
            continue
        raise SystemExit(f"{look} does not refuse")
assert ".whl" in leoflow_runtime.__file__, leoflow_runtime.__file__
