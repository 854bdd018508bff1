"""Runs the examples with a real Airflow, and looks at the servers for what they have loaded.

python examples.py EXAMPLES HOME
"""
import json
import os
import subprocess
import sys
import urllib.request

from deliver import address, deliver
from leoflow_runtime import get_connection
from leoflow_runtime.cloud.aws import s3_client
from leoflow_runtime.cloud.azure import blob_client

EXAMPLES, HOME = sys.argv[1:]
AIRFLOW = os.path.join(os.path.dirname(sys.executable), "airflow")


def run(*arguments):
    done = subprocess.run([AIRFLOW, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    sys.stderr.write(done.stdout)
    assert done.returncode == 0, f"airflow {' '.join(arguments)} ends with {done.returncode}"


volume = deliver(HOME)
volume.variable("lake", "examples")
s3_client().create_bucket(Bucket="examples", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
blob_client().create_container("examples")
backend = {"BACKEND": "leoflow_runtime.backend.VolumeBackend", "BACKEND_KWARGS": json.dumps({"dir": volume.directory})}
for name, value in backend.items():
    os.environ["AIRFLOW__SECRETS__" + name] = os.environ["AIRFLOW__WORKERS__SECRETS_" + name] = value
os.environ.update(AIRFLOW_HOME=HOME, AIRFLOW__CORE__DAGS_FOLDER=EXAMPLES, AIRFLOW__CORE__LOAD_EXAMPLES="False")
run("db", "migrate")
for name in ("gcp_gcs_load", "aws_s3_load", "azure_blob_load", "postgres_load"):
    run("dags", "test", name)

with urllib.request.urlopen(f"http://{address('GCS')}/seen") as seen:
    writes = [(account, name) for account, did, name in json.load(seen) if did == "write" and name in ("compat.txt", "native.txt")]
assert writes == [("Bearer of:etl@example.com", "compat.txt"), ("Bearer of:etl@example.com", "native.txt")], writes
for name in ("compat.txt", "native.txt"):
    assert s3_client().get_object(Bucket="examples", Key=name)["Body"].read().startswith(b"loaded by")
    assert blob_client().get_blob_client("examples", name).download_blob().readall().startswith(b"loaded by")

import psycopg2  # noqa: E402

warehouse = get_connection("postgres_default")
with psycopg2.connect(host=warehouse.host, port=warehouse.port, user=warehouse.login, password=warehouse.password, dbname=warehouse.schema) as session:
    with session.cursor() as cursor:
        cursor.execute('SELECT "by" FROM loaded')
        assert cursor.fetchall() == [("the hook",), ("the client",)]
print("examples: 4 loaded twice")
