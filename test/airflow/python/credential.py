"""Which credential a hook uses of a connection, in the words of docs/connections-table.md.

Each hook is the provider's own. What would read a key or ask a cloud is replaced, and says
what it was given.
"""
import contextlib
import json
import os
import tempfile
from unittest import mock

KEY = {"client_email": "E", "token_uri": "U"}


def tagged(value, path=""):
    """The connection with each value of one capital letter naming the field that it stands in."""
    if isinstance(value, dict):
        return {key: tagged(each, path + "." + key if path else key) for key, each in value.items()}
    if isinstance(value, str) and len(value) == 1 and value.isupper():
        return path.replace("_", "-") + "-" + value
    return value


def store(directory, name, content):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        json.dump(content, file)
    return path


def signer(cls, key, key_id=None):
    """Takes every key that has no literal backslash, as a PEM has none."""
    if "\\" in key:
        raise ValueError("no key")
    return mock.Mock(key_id=key_id)


def google(connection, directory):
    import hooks
    from airflow.providers.google.cloud.utils import credentials_provider

    config = {"type": "external_account", "audience": "a", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
              "token_url": "https://sts.googleapis.com/v1/token"}
    if "idp_issuer_url" not in connection.get("extra", {}):
        config["credential_source"] = {"file": "/nowhere"}
    adc = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": store(directory, "adc.json", adc), "GOOGLE_CLOUD_PROJECT": "adc"}
    places = {"/k.json": store(directory, "k.json", KEY | {"private_key": "K", "client_email": "file"}),
              "/c.json": store(directory, "c.json", config)}
    text = json.dumps(connection)
    for written, path in places.items():
        text = text.replace('"' + written + '"', json.dumps(path))
    fetched = json.dumps(KEY | {"private_key": "K", "client_email": "fetched"})
    hook = hooks.bigquery if connection["conn_type"] == "gcpbigquery" else hooks.gcs
    with mock.patch.dict(os.environ, environ | {"AIRFLOW_CONN_ROW": text}), \
            mock.patch("google.auth.crypt.RSASigner.from_string", classmethod(signer)), \
            mock.patch.object(credentials_provider._SecretManagerClient, "get_secret", lambda *args, **named: fetched):
        found = hook("row")
    by_mail = {"file": "key_path", "fetched": "the secret, with the task's ADC", "E": "keyfile_dict"}
    if found["email"] in by_mail:
        return by_mail[found["email"]]
    return {"AnonymousCredentials": "nobody: anonymous", "_AnonymousCredentials": "nobody: anonymous"}.get(
        found["credentials"], "credential_config_file" if found["module"] == "google.auth.identity_pool" else "ADC")


def amazon(connection, directory):
    from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    with mock.patch.dict(os.environ, {"AIRFLOW_CONN_ROW": json.dumps(tagged(connection))}):
        config = S3Hook(aws_conn_id="row").conn_config
    found = SessionFactory(conn=config, region_name="r").basic_session.get_credentials()
    words = "the default chain"
    if found is not None:
        if not found.access_key:
            raise ValueError("a token without a key")
        places = {"login-": "login and password", "extra.aws-": "the extra's keys", "extra.session-kwargs.": "session_kwargs' keys"}
        words = next(words for place, words in places.items() if found.access_key.startswith(place))
        words += " with a session token" if found.token else ""
    return words + (", then role_arn" if config.role_arn else "")


class Azure:
    """Stands for what Azure's hooks make credentials and clients of."""

    def __init__(self):
        self.words = None

    def default(self, **named):
        return "the workload identity of its client" if named.get("managed_identity_client_id") else "the default credential"

    def secret(self, real=None):
        def make(*args, **named):
            if real is not None:  # which refuses what is no secret
                real(**named)
            return "the client secret"

        return make

    def log_in(self, client_secret=None, **named):
        return "the client secret" if client_secret else "nobody: waits for a person to log in"

    def client(self, account_url="", credential=None, **named):
        """A storage account's, or with "credentials" another service's."""
        credential = named.pop("credentials", credential)
        kind = type(credential).__name__
        if kind == "AzureIdentityCredentialAdapter":
            credential = credential._policy._credential
        elif kind == "AzureSasCredential" or "sas-token" in account_url:
            credential = "sas_token"
        elif str(credential).startswith("password-"):
            credential = "the password, as the account key"
        elif str(credential).startswith("extra."):
            credential = credential.split(".")[1].split("-S")[0].replace("-", "_")
        self.words = credential
        return mock.MagicMock()

    def says(self, words):
        def say(*args, **named):
            self.words = words
            return mock.MagicMock()

        return say

    def storage(self):
        client = mock.MagicMock(side_effect=self.client)
        client.from_connection_string = self.says("connection_string")
        return client


def azure(connection, directory):
    import azure.identity
    from airflow.providers.microsoft.azure import utils
    from airflow.providers.microsoft.azure.hooks import base_azure, data_lake, wasb

    played = Azure()
    secret = played.secret(azure.identity.ClientSecretCredential)
    replaced = [
        (utils, "DefaultAzureCredential", played.default), (wasb, "ClientSecretCredential", secret),
        (data_lake, "ClientSecretCredential", secret), (base_azure, "ClientSecretCredential", secret),
        (base_azure, "ServicePrincipalCredentials", played.secret()),
        (base_azure, "get_client_from_auth_file", played.says("key_path")),
        (base_azure, "get_client_from_json_dict", played.says("key_json")),
        (wasb, "BlobServiceClient", played.storage()), (data_lake, "DataLakeServiceClient", played.storage()),
        (data_lake, "core", mock.MagicMock(AzureDLFileSystem=lambda credential, **named: played.client(credential=credential))),
        (data_lake, "lib", mock.MagicMock(auth=played.log_in)),
    ]
    hook = {
        "azure": lambda: base_azure.AzureBaseHook(sdk_client=played.client, conn_id="row"),
        "wasb": lambda: wasb.WasbHook(wasb_conn_id="row"),
        "adls": lambda: data_lake.AzureDataLakeStorageV2Hook(adls_conn_id="row"),
        "azure_data_lake": lambda: data_lake.AzureDataLakeHook(azure_data_lake_conn_id="row"),
    }[connection["conn_type"]]
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {"AIRFLOW_CONN_ROW": json.dumps(tagged(connection))}))
        for module, name, value in replaced:
            if hasattr(module, name):  # not every version has each
                stack.enter_context(mock.patch.object(module, name, value))
        hook().get_conn()
    return played.words


def uses(connection):
    """What the hook of a connection uses, or that it raises."""
    users = {"google_cloud_platform": google, "gcpbigquery": google, "aws": amazon}
    with tempfile.TemporaryDirectory() as directory:
        try:
            return users.get(connection["conn_type"], azure)(connection, directory)
        except Exception as error:
            return "raises: " + type(error).__name__


def judge(connections):
    return {"rows": [uses(each) for each in connections]}
