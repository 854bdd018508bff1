"""References of connections that came by the environment, and so were resolved by no node: fetched with the
task's own identity and the installed SDK, or refused."""
import contextlib
import json
import logging
import os
import sys
import urllib.request
from unittest import mock

from deliver import AZURITE_KEY, address, private_key

ACCOUNT = {"type": "service_account", "project_id": "p", "private_key_id": "1", "token_uri": f"http://{address('GCS')}/token"}


def through_proxy():
    proxy = "http://" + address("CLOUDS")
    return {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "REQUESTS_CA_BUNDLE": address("CLOUDS_CA"), "SSL_CERT_FILE": address("CLOUDS_CA")}


def put(url, text):
    through_the_proxy = urllib.request.build_opener()  # the default one may have been made before there was one
    through_the_proxy.open(urllib.request.Request(url, text.encode(), method="PUT")).close()


def export(conn_id, conn_type, **fields):
    os.environ["AIRFLOW_CONN_" + conn_id.upper()] = json.dumps({"conn_type": conn_type, **fields})


def refused(call, conn_id, *says):
    from leoflow_runtime import Refused

    try:
        call(conn_id)
    except Refused as error:
        for each in (f'connection "{conn_id}", taken from the environment', *says):
            assert each in str(error), (each, str(error))
    else:
        raise AssertionError(f"{conn_id} is not refused")


@contextlib.contextmanager
def without(*modules):
    with mock.patch.dict(sys.modules, dict.fromkeys(modules)):
        yield


def lacks(call, conn_id, package):
    try:
        call(conn_id)
    except ImportError as error:
        assert f"pip install {package}" in str(error), error
    else:
        raise AssertionError(f"{conn_id} needs no {package}")


def google(home):
    from leoflow_runtime.cloud.gcp import google_credentials

    def look(conn_id):
        return google_credentials(conn_id)[0].service_account_email

    os.environ.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    export("g_key", "google_cloud_platform", extra={"key_secret_name": "key", "project": "p"})
    refused(look, "g_key", "key_secret_name", "DefaultCredentialsError")
    key = private_key()
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = os.path.join(home, "ambient.json")
    with open(os.environ["GOOGLE_APPLICATION_CREDENTIALS"], "w", encoding="ascii") as file:
        json.dump({**ACCOUNT, "private_key": key, "client_email": "ambient@example.com"}, file)
    fetched = json.dumps({**ACCOUNT, "private_key": key, "client_email": "fetched@example.com"})
    put("https://secretmanager.googleapis.com/v1/projects/p/secrets/key/versions/latest:access", fetched)
    put("https://secretmanager.europe-west3.rep.googleapis.com/v1/projects/p/locations/europe-west3/secrets/key/versions/2:access", fetched)
    put("https://secretmanager.googleapis.com/v1/projects/p/secrets/odd/versions/latest:access", "n33dle-that-is-no-key")
    export("g_region", "google_cloud_platform", extra={"key_secret_name": "projects/p/locations/europe-west3/secrets/key/versions/2"})
    export("g_absent", "google_cloud_platform", extra={"key_secret_name": "absent", "project": "p"})
    export("g_odd", "google_cloud_platform", extra={"key_secret_name": "odd", "project": "p"})
    assert [look("g_key"), look("g_region")] == ["fetched@example.com"] * 2
    refused(look, "g_absent", "Secret Manager answers 404")
    refused(look, "g_odd", "is no service account's key")
    with mock.patch.dict(os.environ, {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}):
        refused(look, "g_key", "key_secret_name", "Error")
    with without("google.auth.transport.requests"):
        lacks(look, "g_key", "google-cloud-storage")
    return 2


def aws():
    import boto3

    from leoflow_runtime.cloud.aws import aws_client

    def look(conn_id):
        return aws_client("sts", conn_id)._request_signer._credentials.access_key

    moto = f"http://{address('MOTO')}"
    place = {"region_name": "eu-west-1", "service_config": {"secretsmanager": {"endpoint_url": moto}, "sts": {"endpoint_url": moto}}}
    export("a_key", "aws", extra={"key_secret_name": "key" + os.environ["CELL"], **place})
    export("a_absent", "aws", extra={"key_secret_name": "absent", **place})
    export("a_odd", "aws", extra={"key_secret_name": "odd" + os.environ["CELL"], **place})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.pop(name, None)
    refused(look, "a_key", "key_secret_name", "NoCredentialsError")
    os.environ.update(AWS_ACCESS_KEY_ID="AKIAAMBIENT", AWS_SECRET_ACCESS_KEY="ambient")
    manager = boto3.client("secretsmanager", endpoint_url=moto, region_name="eu-west-1")
    logging.disable()  # boto prints what this stores; what a look-up fetches is to be printed nowhere
    manager.create_secret(Name="key" + os.environ["CELL"], SecretString=json.dumps({"aws_access_key_id": "AKIAFETCHED", "aws_secret_access_key": "n33dle"}))
    manager.create_secret(Name="odd" + os.environ["CELL"], SecretString="n33dle-that-is-no-key")
    logging.disable(logging.NOTSET)
    assert look("a_key") == "AKIAFETCHED"
    refused(look, "a_absent", "ResourceNotFoundException")
    refused(look, "a_odd", "brings no pair of keys")
    with without("boto3.session"):
        lacks(look, "a_key", "boto3")
    return 1


def azure():
    from leoflow_runtime.cloud.azure import blob_client

    def look(conn_id):
        return blob_client(conn_id).credential.account_key

    where = {"key_vault_url": "https://lake.vault.azure.net"}
    export("w_key", "wasb", login="devstoreaccount1", extra={"key_secret_name": "key", **where})
    export("w_absent", "wasb", login="devstoreaccount1", extra={"key_secret_name": "absent", **where})
    put("https://lake.vault.azure.net/secrets/key/", AZURITE_KEY)
    with mock.patch.dict(os.environ, {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "ambient", "AZURE_CLIENT_SECRET": "ambient"}):
        assert look("w_key") == AZURITE_KEY
        refused(look, "w_absent", "ResourceNotFoundError")
        with without("azure.keyvault.secrets"):
            lacks(look, "w_key", "azure-keyvault-secrets")
    with mock.patch.dict(os.environ, {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "somebody", "AZURE_CLIENT_SECRET": "x"}):
        refused(look, "w_key", "key_secret_name", "Error")
    return 1


def references():
    with mock.patch.dict(os.environ, through_proxy()):
        return f"{google(os.environ['HOME']) + aws() + azure()} fetched"
