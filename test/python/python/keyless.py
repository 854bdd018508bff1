"""Reads by hooks whose connections have no credentials, as often as it is told to, in one process.

Each line of the standard input is a JSON object: "hooks" are those that read, "later" is how many seconds later than
now it is to Azure's SDK, which keeps a token's file for ten minutes and a token for as long as it is good. What is
read tells as whom. Prints one line of JSON for each hook.
"""
import functools
import json
import sys
import time

real, later = time.time, 0
time.time = lambda: real() + later


@functools.cache
def gcs():
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    return GCSHook(gcp_conn_id="google_cloud_default")


@functools.cache
def s3():
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id="aws_default")


@functools.cache
def wasb():
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    return WasbHook(wasb_conn_id="wasb_default")


def text(content):
    return content.decode() if isinstance(content, bytes) else content


reads = {
    "gcs": lambda: text(gcs().download(bucket_name="lake", object_name="who", num_max_attempts=1)),
    "s3": lambda: s3().read_key("who", "lake"),
    "wasb": lambda: text(wasb().read_file("lake", "who")),
}

for line in sys.stdin:
    step = json.loads(line)
    later = step["later"]
    for name in step["hooks"]:
        try:
            print(json.dumps({"hook": name, "who": reads[name]()}), flush=True)
        except Exception as error:
            print(json.dumps({"hook": name, "error": f"{type(error).__name__}: {error}"[:1000]}), flush=True)
