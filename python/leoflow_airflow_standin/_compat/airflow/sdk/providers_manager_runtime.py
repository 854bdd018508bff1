"""What providers bring."""


from leoflow_airflow_standin.provider import ProvidersManager as ProvidersManagerTaskRuntime

__all__ = [
    "ProvidersManagerTaskRuntime",
]
