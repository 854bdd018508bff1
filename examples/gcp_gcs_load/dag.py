"""Loads two objects into Cloud Storage, with one connection."""

from airflow.sdk import Variable, dag, task


@dag(schedule=None)
def gcp_gcs_load():
    @task
    def compat():
        """A DAG of Airflow's, unchanged."""
        from airflow.providers.google.cloud.hooks.gcs import GCSHook

        hook = GCSHook(gcp_conn_id="google_cloud_default")
        hook.upload(bucket_name=Variable.get("lake"), object_name="compat.txt", data="loaded by the hook")

    @task
    def native():
        """Google's own client, of the same connection; it runs in images without Airflow too."""
        from leoflow_runtime import get_variable
        from leoflow_runtime.cloud.gcp import gcs_client

        client = gcs_client(conn_id="google_cloud_default")
        client.bucket(get_variable("lake")).blob("native.txt").upload_from_string("loaded by the client")

    compat() >> native()


gcp_gcs_load()
