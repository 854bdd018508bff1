"""Loads two blobs into Azure's Blob Storage, with one connection."""

from airflow.sdk import Variable, dag, task


@dag(schedule=None)
def azure_blob_load():
    @task
    def compat():
        """A DAG of Airflow's, unchanged."""
        from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

        WasbHook(wasb_conn_id="wasb_default").load_string("loaded by the hook", Variable.get("lake"), "compat.txt", overwrite=True)

    @task
    def native():
        """Microsoft's own client, of the same connection; it runs in images without Airflow too."""
        from leoflow_runtime import get_variable
        from leoflow_runtime.cloud.azure import blob_client

        client = blob_client(conn_id="wasb_default").get_blob_client(get_variable("lake"), "native.txt")
        client.upload_blob(b"loaded by the client", overwrite=True)

    compat() >> native()


azure_blob_load()
