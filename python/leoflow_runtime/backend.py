"""The secrets backend that Airflow is configured with:

    AIRFLOW__SECRETS__BACKEND=leoflow_runtime.backend.VolumeBackend
    AIRFLOW__SECRETS__BACKEND_KWARGS={"dir": "/var/run/leoflow/secrets"}

"agent exec --airflow-backend --python" sets that. Airflow's own file backend cannot say no: what is
not in its file is asked elsewhere. Here a refusal ends the search.
"""

from __future__ import annotations

from . import volume
from .error import Refused
from .mask import mask
from .process import may_end
from .upstream import take
from .verdict import CONNECTION, VARIABLE, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    class _Base:
        def deserialize_connection(self, conn_id: str, value: str) -> Any: ...
else:
    try:
        from airflow.sdk.bases.secrets_backend import BaseSecretsBackend as _Base
    except ImportError:
        from airflow.secrets import BaseSecretsBackend as _Base


class VolumeBackend(_Base):
    """Looks connections and variables up in the pod's volume.

    team_name chooses nothing: the volume is one pod's, and the pod's namespace has chosen the team.
    """

    def __init__(self, dir: str | None = None) -> None:
        super().__init__()
        self._volume = volume.at(dir)

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """The connection's text; None where others are to be asked."""
        return self._find(CONNECTION, conn_id)

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """The connection in this Airflow's own class; None where others are to be asked."""
        value = self.get_conn_value(conn_id)
        if value is None:
            return None
        try:
            return self.deserialize_connection(conn_id=conn_id, value=value)
        except Exception as error:
            fault = type(error).__name__  # whose text may hold the value
        del value  # some loggers print the variables of a traceback's frames
        self._end(Refused(f'connection "{conn_id}" in {self._volume.directory} cannot be read by Airflow: {fault}', "invalid"))
        return None

    async def aget_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """The same for coroutines, without a thread: reading a tmpfs waits for nothing."""
        return self.get_connection(conn_id)

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """The variable's text; None where others are to be asked."""
        value = self._find(VARIABLE, key)
        if value is not None:
            mask(value)
        return value

    def get_config(self, key: str) -> str | None:
        """A volume holds no settings of Airflow."""
        return None

    def _find(self, kind: str, name: str) -> str | None:
        try:
            return find(self._volume, kind, name)[1]
        except Refused as error:
            refused = error
        self._end(refused)
        return None

    def _end(self, refused: Refused) -> None:
        """Ends the search.

        From Airflow 3.2.2 on there is an exception for that. Before, every Exception is swallowed and
        the next place is asked, and only what is none ends it. In a service of those versions it would
        end the service, which looks nothing up for a task: there the log has it, and the search goes on.
        """
        try:
            upstream: Any = take("airflow.sdk.exceptions", "AirflowSecretsBackendAccessDenied")
        except ImportError:
            if may_end():
                raise Denied(refused) from None
            from .notice import once

            once(f"service {refused}", f"{refused}; Airflow before 3.2.2 goes on to other places in a service")
            return
        raise type("Denied", (upstream, Refused), {"__init__": Refused.__init__})(str(refused), refused.state)


class Denied(BaseException):
    """A final no in Airflow before 3.2.2, which swallows every Exception of a backend.

    Every runner of tasks catches it, and the task fails as with any other.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.state = refused.state
