"""Google Cloud."""

from __future__ import annotations

import json
import re

from .draft import Draft, sdk, without_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TYPES = ("google_cloud_platform", "gcpbigquery", "gcpcloudsql", "gcpspanner")
_KNOWN = (
    "keyfile_dict", "key_path", "credential_config_file", "is_anonymous", "project", "scope", "scopes",
    "num_retries", "impersonation_chain", "quota_project_id", "idp_issuer_url",
)  # fmt: skip

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_STORAGE = "google-cloud-storage"

_RESOURCE = re.compile(r"projects/([^/]+)(?:/locations/([^/]+))?/secrets/([^/]+)(?:/versions/([^/]+))?")


@without_frames
def gcs_client(conn_id: str = "google_cloud_default", directory: str | None = None, **options: Any) -> Any:
    """A google.cloud.storage.Client; options are its own."""
    credentials, project = google_credentials(conn_id, directory)
    return sdk("google.cloud.storage", _STORAGE).Client(**{"project": project, "credentials": credentials, **options})


@without_frames
def google_credentials(conn_id: str = "google_cloud_default", directory: str | None = None) -> tuple[Any, str | None]:
    """Credentials for any other client of Google's, and the project."""
    draft = Draft(conn_id, directory, _TYPES, "extra__google_cloud_platform__", _KNOWN)
    credentials, project = _chosen(draft)
    chain = draft.get("impersonation_chain")
    if chain:
        credentials, project = _impersonate(draft, credentials, chain)
    quota = draft.text("quota_project_id")
    if quota and not draft.get("is_anonymous"):
        credentials = credentials.with_quota_project(quota)
    return credentials, draft.text("project") or project


def _chosen(draft: Draft) -> tuple[Any, str | None]:
    """The first credential that there is. The order is that of docs/connections.md."""
    if draft.get("keyfile_dict"):
        return _of_key(draft, draft.get("keyfile_dict"), "keyfile_dict")
    path = draft.text("key_path")
    if path:
        if not path.endswith(".json"):
            raise draft.refuse("extra.key_path", "names no .json file")
        return _with_project(sdk("google.oauth2.service_account", _STORAGE).Credentials.from_service_account_file(path, scopes=_scopes(draft)))
    if draft.has_reference():
        return _of_key(draft, _fetch(draft), "key_secret_name")
    if draft.get("credential_config_file"):
        return _of_configuration(draft, draft.get("credential_config_file"))
    if draft.get("is_anonymous"):
        return sdk("google.auth.credentials", _STORAGE).AnonymousCredentials(), None
    if draft.get("idp_issuer_url"):
        raise draft.refuse("extra.idp_issuer_url", "wants a credential_config_file beside it")
    found: tuple[Any, str | None] = sdk("google.auth", _STORAGE).default(scopes=_scopes(draft))
    return found


def _scopes(draft: Draft) -> list[str]:
    scope = draft.get("scope") or draft.get("scopes") or _SCOPE
    return [each.strip() for each in (scope.split(",") if isinstance(scope, str) else scope)]


def _of_key(draft: Draft, key: Any, field: str) -> tuple[Any, str | None]:
    fault = ""
    try:
        fields = json.loads(key) if isinstance(key, str) else dict(key)
        fields["private_key"] = fields["private_key"].replace("\\n", "\n")
        return _with_project(sdk("google.oauth2.service_account", _STORAGE).Credentials.from_service_account_info(fields, scopes=_scopes(draft)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fault = type(error).__name__  # whose text may hold a part of the key
    raise draft.refuse(f"extra.{field}", f"is no service account's key that Google's library takes ({fault})")


def _with_project(credentials: Any) -> tuple[Any, str | None]:
    return credentials, credentials.project_id


def _of_configuration(draft: Draft, configuration: Any) -> tuple[Any, str | None]:
    if draft.get("idp_issuer_url"):
        raise draft.refuse("extra.idp_issuer_url", "is read by Airflow's hook alone: use that, or a credential_config_file with a source of its own")
    auth = sdk("google.auth", _STORAGE)
    if isinstance(configuration, str) and configuration.lstrip().startswith("{"):
        configuration = json.loads(configuration)
    load = auth.load_credentials_from_dict if isinstance(configuration, dict) else auth.load_credentials_from_file
    found: tuple[Any, str | None] = load(configuration, scopes=_scopes(draft))
    return found


def _impersonate(draft: Draft, source: Any, chain: Any) -> tuple[Any, str]:
    accounts = [each.strip() for each in (chain.split(",") if isinstance(chain, str) else chain)]
    target, delegates = accounts[-1], accounts[:-1]
    if "@" not in target:
        raise draft.refuse("extra.impersonation_chain", "ends with what is no service account")
    made = sdk("google.auth.impersonated_credentials", _STORAGE).Credentials(
        source_credentials=source, target_principal=target, delegates=delegates, target_scopes=_scopes(draft)
    )
    return made, target.partition("@")[2].partition(".")[0]


def _fetch(draft: Draft) -> str:
    """The secret's text, for a connection of the environment, which no node has seen."""
    import base64

    name = draft.text("key_secret_name") or ""
    parts = _RESOURCE.fullmatch(name)
    project, region, secret, version = parts.groups() if parts else (draft.text("key_secret_project_id") or draft.text("project"), None, name, None)
    version = version or draft.text("key_secret_version") or "latest"
    if not project or "/" in secret:
        raise draft.refuse("extra.key_secret_name", "is to be a secret's name beside its project, or projects/PROJECT/secrets/NAME")
    host = f"secretmanager.{region}.rep.googleapis.com" if region else "secretmanager.googleapis.com"
    location = f"locations/{region}/" if region else ""
    transport = sdk("google.auth.transport.requests", _STORAGE)
    try:
        credentials, _ = sdk("google.auth", _STORAGE).default(scopes=[_SCOPE])
        answer = transport.AuthorizedSession(credentials).get(
            f"https://{host}/v1/projects/{project}/{location}secrets/{secret}/versions/{version}:access", timeout=30
        )
        if answer.status_code == 200:
            return base64.b64decode(answer.json()["payload"]["data"]).decode()
        fault = f"Secret Manager answers {answer.status_code}"
    except (sdk("google.auth.exceptions", _STORAGE).GoogleAuthError, OSError, ValueError, KeyError) as error:
        fault = type(error).__name__  # those of requests are an OSError
    raise draft.refuse("extra.key_secret_name", f"cannot be fetched with the task's own identity ({fault})")
