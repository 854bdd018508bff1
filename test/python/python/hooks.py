"""Has eight hooks of provider packages do real work without Airflow, and the clouds' native clients beside them.

The addresses of the servers are in the environment. Prints one line of JSON for each check.
"""
import json
import logging
import os
import sys
import tempfile
import traceback
import urllib.request

from deliver import address, deliver
from references import references

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)

def gcs():
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    from leoflow_runtime.cloud.gcp import gcs_client

    hook = GCSHook(gcp_conn_id="google_cloud_default")
    hook.upload(bucket_name="lake", object_name="by-hook", data="one")
    client = gcs_client()
    assert client.bucket("lake").blob("by-hook").download_as_bytes() == b"one"
    client.bucket("lake").blob("by-client").upload_from_string("two")
    assert hook.download(bucket_name="lake", object_name="by-client") == b"two"
    assert {"by-hook", "by-client"} <= set(hook.list("lake"))
    assert hook.project_id == client.project == "of-the-connection"
    with urllib.request.urlopen(f"http://{address('GCS')}/seen") as seen:
        who = {account for account, _, _ in json.load(seen)}
    assert who == {"Bearer of:etl@example.com"}, who
    return "etl@example.com"


def s3():
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from leoflow_runtime.cloud.aws import aws_client, s3_client

    told = []
    for conn_id in ("aws_default", "aws_role"):
        hook = S3Hook(aws_conn_id=conn_id)
        bucket = "lake-" + conn_id.replace("_", "-") + os.environ["CELL"]
        hook.create_bucket(bucket_name=bucket)
        hook.load_string("one", "by-hook", bucket)
        client = s3_client(conn_id)
        assert client.get_object(Bucket=bucket, Key="by-hook")["Body"].read() == b"one"
        client.put_object(Bucket=bucket, Key="by-client", Body=b"two")
        assert hook.read_key("by-client", bucket) == "two"
        assert sorted(hook.list_keys(bucket)) == ["by-client", "by-hook"]
        hook.delete_objects(bucket, ["by-hook", "by-client"])
        theirs, ours = AwsGenericHook(aws_conn_id=conn_id, client_type="sts").get_conn().get_caller_identity(), aws_client("sts", conn_id).get_caller_identity()
        assert theirs["Arn"] == ours["Arn"], (theirs["Arn"], ours["Arn"])
        if conn_id == "aws_role":
            assert ":assumed-role/etl/" in ours["Arn"], ours["Arn"]
        told.append(ours["Arn"])
    return " ".join(told)


def wasb():
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    from leoflow_runtime.cloud.azure import blob_client

    container = "lake" + os.environ["CELL"]
    hook, client = WasbHook(wasb_conn_id="wasb_default"), blob_client()
    hook.create_container(container)
    hook.load_string("one", container, "by-hook")
    assert client.get_blob_client(container, "by-hook").download_blob().readall() == b"one"
    client.get_blob_client(container, "by-client").upload_blob(b"two")
    assert hook.read_file(container, "by-client") in ("two", b"two")
    assert hook.check_for_blob(container, "by-client")
    assert client.url == hook.get_conn().url
    assert client.credential.account_key == hook.get_conn().credential.account_key
    return client.account_name


def sql(hook):
    hook.run("CREATE TABLE things (id INT PRIMARY KEY, name VARCHAR(20))")
    hook.insert_rows("things", [(1, "a"), (2, "b")], target_fields=["id", "name"])
    assert list(hook.get_first("SELECT name FROM things WHERE id = 2")) == ["b"]
    assert len(hook.get_records("SELECT * FROM things")) == 2
    hook.run("DROP TABLE things")
    return "2 rows"


def postgres():
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook(postgres_conn_id="postgres_default")
    hook.run("CREATE TABLE upserted (id INT PRIMARY KEY, name VARCHAR(20))")
    for name in ("a", "b"):
        hook.insert_rows("upserted", [(1, name)], target_fields=["id", "name"], replace=True, replace_index="id")
    assert hook.get_first("SELECT name FROM upserted")[0] == "b"
    hook.run("DROP TABLE upserted")
    return sql(hook)


def mysql():
    from airflow.providers.mysql.hooks.mysql import MySqlHook

    return sql(MySqlHook(mysql_conn_id="mysql_default"))


def sqlite():
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    return sql(SqliteHook(sqlite_conn_id="sqlite_default"))


def http():
    from airflow.providers.http.hooks.http import HttpHook

    return str(HttpHook(method="GET", http_conn_id="http_default").run("/seen").status_code)


def redis():
    from airflow.providers.redis.hooks.redis import RedisHook

    client = RedisHook(redis_conn_id="redis_default").get_conn()
    client.set("some", "value")
    assert client.get("some") == b"value"
    return "db 1"


def denied():
    """No hook goes on with whatever identity lies around."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.google.cloud.hooks.gcs import GCSHook
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from leoflow_runtime import Refused
    from leoflow_runtime.cloud.aws import s3_client
    from leoflow_runtime.cloud.gcp import gcs_client

    os.environ.update(AWS_ACCESS_KEY_ID="bait", AWS_SECRET_ACCESS_KEY="bait", AIRFLOW_CONN_DENIED="aws://bait:bait@")
    ends = {
        "S3Hook": lambda conn_id: S3Hook(aws_conn_id=conn_id).get_conn(), "GCSHook": lambda conn_id: GCSHook(gcp_conn_id=conn_id).get_conn(),
        "PostgresHook": lambda conn_id: PostgresHook(postgres_conn_id=conn_id).get_conn(), "s3_client": s3_client, "gcs_client": gcs_client,
    }
    for name, end in ends.items():
        for conn_id in ("denied", "not_asked_for"):
            try:
                end(conn_id)
            except Refused as error:
                assert "in the volume" in str(error), error
            else:
                raise AssertionError(f"{name} went on without {conn_id}")
    return f"{len(ends)} refused"


with tempfile.TemporaryDirectory() as directory:
    deliver(directory)
    for check in (gcs, s3, wasb, postgres, mysql, sqlite, http, redis, references, denied):
        try:
            print(json.dumps({"check": check.__name__, "ok": True, "says": check()}), flush=True)
        except BaseException as error:
            traceback.print_exc()
            print(json.dumps({"check": check.__name__, "ok": False, "says": f"{type(error).__name__}: {error}"[:500]}), flush=True)
