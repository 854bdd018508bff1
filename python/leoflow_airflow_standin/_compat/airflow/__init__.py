"""What hooks take from Airflow, where there is no Airflow; see leoflow_airflow_standin."""

import sys as _sys

from leoflow_airflow_standin import VERSION as __version__
from leoflow_airflow_standin.guard import step_aside as _step_aside

if not _step_aside(_sys.modules[__name__]):
    __all__ = ["__version__"]
