"""What the providers' hooks resolve from a connection, without any network."""
import hashlib


def shown(value):
    """Something that is equal where the hook would act alike."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    return type(value).__name__


def google(hook):
    credentials, project = hook.get_credentials_and_project_id()
    target = getattr(credentials, "_target_principal", None)
    source = getattr(credentials, "_source_credentials", credentials)
    return {
        "credentials": type(credentials).__name__, "module": type(credentials).__module__, "project": project, "target": target,
        "email": getattr(source, "service_account_email", None), "scopes": shown(getattr(credentials, "scopes", None)),
        "key": getattr(getattr(source, "signer", None), "key_id", None),
        "quota": getattr(credentials, "quota_project_id", None), "retries": hook.num_retries,
    }


def gcs(conn_id):
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    return google(GCSHook(gcp_conn_id=conn_id))


def bigquery(conn_id):
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    hook = BigQueryHook(gcp_conn_id=conn_id)
    return google(hook) | {"location": hook.location, "legacy": shown(hook.use_legacy_sql)}


def s3(conn_id):
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_conn_id=conn_id)
    config = hook.conn_config
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name", "profile_name",
             "endpoint_url", "role_arn", "assume_role_method", "assume_role_kwargs", "verify", "service_config")
    return {name: shown(getattr(config, name, None)) for name in names} | {
        "config": shown(vars(config.botocore_config)["_user_provided_options"]) if config.botocore_config else None,
    }


def wasb(conn_id):
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    client = WasbHook(wasb_conn_id=conn_id).get_conn()
    credential = client.credential
    return {
        "url": client.url, "credential": type(credential).__name__, "account": client.account_name,
        "key": shown(getattr(credential, "account_key", None)), "client": getattr(credential, "_client_id", None),
        "secret": getattr(credential, "_client_credential", None), "tenant": getattr(credential, "_tenant_id", None),
    }


def postgres(conn_id):
    import psycopg2
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook, asked = PostgresHook(postgres_conn_id=conn_id), {}
    connect, psycopg2.connect = psycopg2.connect, lambda **arguments: asked.update(arguments)
    try:
        hook.get_conn()
    except Exception as error:
        asked["raises"] = type(error).__name__
    finally:
        psycopg2.connect = connect
    return {"connect": shown(asked), "uri": hook.get_uri()}


def http(conn_id):
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(http_conn_id=conn_id)
    session = hook.get_conn({})
    auth = getattr(session.auth, "username", None), getattr(session.auth, "password", None)
    return {"base": hook.base_url, "headers": shown(dict(session.headers)), "auth": auth, "verify": session.verify}


def ssh(conn_id):
    from airflow.providers.ssh.hooks.ssh import SSHHook

    hook = SSHHook(ssh_conn_id=conn_id)
    names = ("remote_host", "username", "password", "port", "key_file", "conn_timeout", "compress", "no_host_key_check",
             "allow_host_key_change", "look_for_keys", "keepalive_interval", "host_proxy_cmd")
    return {name: shown(getattr(hook, name, None)) for name in names} | {
        "key": hook.pkey.get_base64()[:40] if hook.pkey else None,
    }


def snowflake(conn_id):
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    hook = SnowflakeHook(snowflake_conn_id=conn_id)
    asked = hook._get_conn_params
    return {"connect": shown(asked() if callable(asked) else asked)}


HOOKS = {
    "gcp": (gcs, bigquery), "bigquery": (bigquery,), "aws": (s3,), "wasb": (wasb,),
    "pg": (postgres,), "http": (http,), "ssh": (ssh,), "snow": (snowflake,),
}


def resolve(conn_ids):
    """For each connection, by the beginning of its id, what each hook makes of it."""
    results = {}
    for conn_id in conn_ids:
        for hook in HOOKS.get(conn_id.split("_")[0], ()):
            try:
                found = hook(conn_id)
            except Exception as error:
                found = {"raises": type(error).__name__}
            results[hook.__name__ + " " + conn_id] = found
    return results


def providers():
    """The versions of the packages that the hooks are from."""
    from importlib import metadata

    found = {}
    for each in metadata.distributions():
        name = each.metadata["Name"] or ""
        if name.startswith("apache-airflow-providers-"):
            found[name[len("apache-airflow-providers-"):]] = each.version
    return found
