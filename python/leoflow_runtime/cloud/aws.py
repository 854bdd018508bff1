"""AWS."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from contextlib import contextmanager

from .draft import Draft, sdk, without_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

_KNOWN = (
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "session_kwargs", "profile_name", "region_name", "endpoint_url",
    "verify", "config_kwargs", "service_config", "role_arn", "assume_role_method", "assume_role_kwargs",
    "assume_role_with_web_identity_federation", "assume_role_with_web_identity_token_file",
)  # fmt: skip


@without_frames
def s3_client(conn_id: str = "aws_default", directory: str | None = None, **options: Any) -> Any:
    """A boto3 client of S3; options are its own."""
    return aws_client("s3", conn_id, directory, **options)


@without_frames
def aws_client(service: str, conn_id: str = "aws_default", directory: str | None = None, **options: Any) -> Any:
    """A boto3 client of any service."""
    draft = Draft(conn_id, directory, ("aws",), "", _KNOWN)
    session = _basic_session(draft)
    if draft.text("role_arn"):
        session = _with_role(draft, session, conn_id)
    named = {
        "endpoint_url": _service(draft, service).get("endpoint_url", draft.text("endpoint_url")),
        "config": _configuration(draft),
        "verify": draft.extra.get("verify"),
    }
    return session.client(service, **{**named, **options})


def _basic_session(draft: Draft) -> Any:
    """A session of the stored keys or the fetched ones; without any, of the default chain."""
    kwargs: dict[str, Any] = draft.get("session_kwargs") or {}
    connection = draft.connection
    pairs = [
        ("login and password", connection.login, connection.password),
        ("the extra's keys", draft.text("aws_access_key_id"), draft.text("aws_secret_access_key")),
        ("session_kwargs' keys", kwargs.get("aws_access_key_id"), kwargs.get("aws_secret_access_key")),
    ]
    token = draft.text("aws_session_token") or kwargs.get("aws_session_token")
    pair = next(((one, other) for _, one, other in pairs if one and other), None)
    if pair is None and draft.has_reference():
        key, secret, token = _fetch(draft)
        pair = key, secret
    if pair is None:
        for name, one, other in pairs:
            if one or other:
                raise draft.refuse(name, "is half a pair")
        if token:
            raise draft.refuse("extra.aws_session_token", "belongs to a pair of keys, and there is none")
    named = {"region_name": draft.text("region_name"), "profile_name": draft.text("profile_name")}
    if pair is not None:
        named.update(aws_access_key_id=pair[0], aws_secret_access_key=pair[1], aws_session_token=token)
    return sdk("boto3.session", "boto3").Session(**{name: value for name, value in named.items() if value})


def _service(draft: Draft, name: str) -> dict[str, Any]:
    services: dict[str, dict[str, Any]] = draft.get("service_config") or {}
    return services.get(name) or {}


def _configuration(draft: Draft) -> Any:
    kwargs = dict(draft.get("config_kwargs") or {})
    if not kwargs:
        return None
    if kwargs.get("signature_version") == "unsigned":
        kwargs["signature_version"] = sdk("botocore", "boto3").UNSIGNED
    return sdk("botocore.config", "boto3").Config(**kwargs)


def _with_role(draft: Draft, basic: Any, conn_id: str) -> Any:
    """A session of the role, which is assumed from whatever the source credentials are.

    As in Airflow, the connection's own endpoint_url is not STS's: only service_config.sts has that.
    """
    method = draft.text("assume_role_method") or "assume_role"
    makers = {"assume_role": _assumed, "assume_role_with_web_identity": _by_web_identity}
    if method not in makers:
        raise draft.refuse("extra.assume_role_method", f"is none of {', '.join(makers)}: use Airflow's hook")

    def sts(**named: Any) -> Any:
        return basic.client("sts", **{"config": _configuration(draft), "endpoint_url": _service(draft, "sts").get("endpoint_url"), **named})

    session = sdk("botocore.session", "boto3").get_session()
    session._credentials = makers[method](draft, sts, conn_id)
    session.set_config_variable("region", basic.region_name)
    return sdk("boto3.session", "boto3").Session(botocore_session=session)


def _assumed(draft: Draft, sts: Any, conn_id: str) -> Any:
    named: dict[str, Any] = {
        "RoleSessionName": re.sub(r"[^\w+=,.@-]+", "-", f"airflow_{conn_id}".lower())[:64],
        **(draft.get("assume_role_kwargs") or {}),
        "RoleArn": draft.text("role_arn"),
    }

    def refresh() -> dict[str, Any]:
        with _unprinted():
            found = sts().assume_role(**named)["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    return sdk("botocore.credentials", "boto3").RefreshableCredentials.create_from_metadata(refresh(), refresh, "sts-assume-role")


def _by_web_identity(draft: Draft, sts: Any, conn_id: str) -> Any:
    import datetime

    if draft.text("assume_role_with_web_identity_federation") != "file":
        raise draft.refuse("extra.assume_role_with_web_identity_federation", "is not file: use Airflow's hook")
    credentials = sdk("botocore.credentials", "boto3")
    token_file = draft.text("assume_role_with_web_identity_token_file") or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")

    def create(_: str, **named: Any) -> Any:
        return sts(**named)

    fetcher = credentials.AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=create,
        web_identity_token_loader=credentials.FileWebIdentityTokenLoader(token_file),
        role_arn=draft.text("role_arn"),
        extra_args=draft.get("assume_role_kwargs") or {},
    )

    def refresh() -> Any:
        with _unprinted():
            return fetcher.fetch_credentials()

    return credentials.DeferredRefreshableCredentials(
        method="assume-role-with-web-identity",
        refresh_using=refresh,
        time_fetcher=lambda: datetime.datetime.now(datetime.timezone.utc),
    )


@contextmanager
def _unprinted() -> Generator[None, None, None]:
    """Keeps answers with keys in them out of boto's debug log, which has all of them; those of this thread alone."""
    here = threading.get_ident()

    def is_anothers(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger = logging.getLogger("botocore.parsers")
    logger.addFilter(is_anothers)
    try:
        yield
    finally:
        logger.removeFilter(is_anothers)


def _fetch(draft: Draft) -> tuple[str, str, str | None]:
    """The keys in the secret, for a connection of the environment, which no node has seen."""
    if draft.text("key_secret_role_arn"):
        raise draft.refuse("extra.key_secret_role_arn", "is assumed by the node alone: have the connection delivered into a volume")
    name = draft.text("key_secret_name") or ""
    region = draft.text("key_secret_region") or (name.split(":")[3] if name.startswith("arn:") and name.count(":") > 5 else None) or draft.text("region_name")
    version = draft.text("key_secret_version")
    asked = {"SecretId": name}
    if version:
        asked["VersionId" if re.fullmatch(r"[0-9a-fA-F-]{32,64}", version) else "VersionStage"] = version
    endpoint = _service(draft, "secretsmanager").get("endpoint_url")
    client = sdk("boto3.session", "boto3").Session(region_name=region).client("secretsmanager", endpoint_url=endpoint)
    fault, faults = "", sdk("botocore.exceptions", "boto3")
    try:
        with _unprinted():
            fields = json.loads(client.get_secret_value(**asked)["SecretString"])
        one, other = fields.get("aws_access_key_id") or fields["AccessKeyId"], fields.get("aws_secret_access_key") or fields["SecretAccessKey"]
        return one, other, fields.get("aws_session_token") or fields.get("SessionToken")
    except (ValueError, KeyError, AttributeError, faults.ClientError, faults.BotoCoreError) as error:
        fault = type(error).__name__
    raise draft.refuse("extra.key_secret_name", f"brings no pair of keys with the task's own identity ({fault})")
