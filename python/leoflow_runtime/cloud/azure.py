"""Azure."""

from __future__ import annotations

from .draft import Draft, sdk, without_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KNOWN = (
    "connection_string", "tenant_id", "shared_access_key", "sas_token", "account_key", "managed_identity_client_id",
    "workload_identity_tenant_id", "client_secret_auth_config",
)  # fmt: skip

_STORAGE = "azure-storage-blob"
_IDENTITY = "azure-identity"


@without_frames
def blob_client(conn_id: str = "wasb_default", directory: str | None = None, **options: Any) -> Any:
    """An azure.storage.blob.BlobServiceClient; options are its own, and so are other fields of the extra."""
    draft = Draft(conn_id, directory, ("wasb",), "extra__wasb__", _KNOWN)
    named = {**draft.rest(_KNOWN), **options}
    whole = draft.text("connection_string")
    if whole and not _is_keyless(draft):
        return _service().from_connection_string(whole, **named)
    sas = draft.text("sas_token")
    if sas and sas.startswith("https") and not any((_is_keyless(draft), draft.get("tenant_id"), draft.get("shared_access_key"))):
        return _service()(account_url=sas, **named)
    url, credential = _account_url(draft), _credential(draft)
    return _service()(account_url=url, credential=credential, **named)


def _service() -> Any:
    return sdk("azure.storage.blob", _STORAGE).BlobServiceClient


def _is_keyless(draft: Draft) -> bool:
    """The pair that names a workload identity goes before every stored secret."""
    return bool(draft.get("managed_identity_client_id") and draft.get("workload_identity_tenant_id"))


def _credential(draft: Draft) -> Any:
    """The first credential that there is. The order is that of docs/connections.md."""
    if bool(draft.get("managed_identity_client_id")) != bool(draft.get("workload_identity_tenant_id")):
        raise draft.refuse("extra.managed_identity_client_id", "and workload_identity_tenant_id are a pair, of which one half is missing")
    if _is_keyless(draft):
        return sdk("azure.identity", _IDENTITY).DefaultAzureCredential(
            managed_identity_client_id=draft.text("managed_identity_client_id"),
            workload_identity_tenant_id=draft.text("workload_identity_tenant_id"),
        )
    password = draft.connection.password or None
    stored = draft.text("shared_access_key") or draft.text("sas_token") or draft.text("account_key")
    if password is None and not stored and draft.has_reference():
        password = _fetch(draft)
    tenant = draft.text("tenant_id")
    if tenant:
        if not draft.connection.login or not password:
            raise draft.refuse("extra.tenant_id", "wants a client in login and its secret in password")
        return sdk("azure.identity", _IDENTITY).ClientSecretCredential(
            tenant_id=tenant, client_id=draft.connection.login, client_secret=password, **(draft.get("client_secret_auth_config") or {})
        )
    if draft.text("shared_access_key"):
        return draft.text("shared_access_key")
    if draft.text("sas_token"):
        return sdk("azure.core.credentials", "azure-core").AzureSasCredential(draft.text("sas_token"))
    return password or draft.text("account_key") or sdk("azure.identity", _IDENTITY).DefaultAzureCredential()


def _account_url(draft: Draft) -> str:
    """The account's address: host, which may lack its scheme, or else the name in login."""
    host, login = draft.connection.host, draft.connection.login
    if not host and not login:
        raise draft.refuse("host", "is missing, and login too: one of them names the storage account")
    if not host:
        return f"https://{login}.blob.core.windows.net/"
    url = host if "://" in host else "https://" + host
    scheme, _, rest = url.partition("://")
    if "." not in rest.partition("/")[0]:
        return f"{scheme}://{login}.blob.core.windows.net/"
    return url


def _fetch(draft: Draft) -> str:
    """The secret's text, for a connection of the environment, which no node has seen."""
    url = draft.text("key_vault_url")
    if not url:
        raise draft.refuse("extra.key_vault_url", "is missing beside key_secret_name")
    credential = sdk("azure.identity", _IDENTITY).DefaultAzureCredential()
    client = sdk("azure.keyvault.secrets", "azure-keyvault-secrets").SecretClient(url, credential)
    fault = ""
    try:
        value: str | None = client.get_secret(draft.text("key_secret_name"), draft.text("key_secret_version")).value
        if value:
            return value
    except sdk("azure.core.exceptions", "azure-core").AzureError as error:
        fault = type(error).__name__
    raise draft.refuse("extra.key_secret_name", f"cannot be fetched with the task's own identity ({fault or 'it is empty'})")
