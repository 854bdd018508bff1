"""Loads two objects into S3, with one connection."""

from airflow.sdk import Variable, dag, task


@dag(schedule=None)
def aws_s3_load():
    @task
    def compat():
        """A DAG of Airflow's, unchanged."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        S3Hook(aws_conn_id="aws_default").load_string("loaded by the hook", "compat.txt", Variable.get("lake"), replace=True)

    @task
    def native():
        """Amazon's own client, of the same connection; it runs in images without Airflow too."""
        from leoflow_runtime import get_variable
        from leoflow_runtime.cloud.aws import s3_client

        s3_client(conn_id="aws_default").put_object(Bucket=get_variable("lake"), Key="native.txt", Body=b"loaded by the client")

    compat() >> native()


aws_s3_load()
