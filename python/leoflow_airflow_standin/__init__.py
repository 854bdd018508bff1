"""Lets the hooks of Airflow's provider packages run in an image without Airflow.

A hook looks its connection up by airflow.sdk.BaseHook or airflow.hooks.base.BaseHook, and takes a few
exceptions and small functions from Airflow. Below _compat there is a package "airflow" with just
these, on leoflow_runtime's Connection. The one line of leoflow_airflow_standin.pth puts it at the end
of Python's search path, so that real Airflow, wherever it is installed, goes before it; and where
_compat itself stands first, by PYTHONPATH, its "airflow" steps aside (guard.py).
"""

# What providers are told of Airflow. It is the newest version that the tests run: a provider takes
# other branches for one that it knows nothing of.
VERSION = "3.3.2"
