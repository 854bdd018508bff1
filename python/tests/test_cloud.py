"""What the native clients refuse before they touch an SDK, which need not be installed."""

import os
import unittest
from unittest import mock

from base import NEEDLE, VolumeCase

from leoflow_runtime import Refused
from leoflow_runtime.cloud.aws import s3_client
from leoflow_runtime.cloud.azure import blob_client
from leoflow_runtime.cloud.gcp import gcs_client

GOOGLE, AWS, AZURE = (gcs_client, "google_cloud_platform"), (s3_client, "aws"), (blob_client, "wasb")


class TestRefusals(VolumeCase):
    def refused(self, end, fields, pattern):
        make, conn_type = end
        self.volume.connection("c", {"conn_type": conn_type, **fields})
        with self.assertRaisesRegex(Refused, 'connection "c", delivered into the volume: ' + pattern) as caught:
            make("c")
        self.assertNotIn(NEEDLE, str(caught.exception))

    def test_unknown_credentials(self):
        for end in (GOOGLE, AWS, AZURE):
            for name in ("new_api_key", "client_secret", "session_token_2", "sas"):
                self.refused(end, {"extra": {name: NEEDLE}}, f"extra.{name} looks like a credential, and this version knows no such field")

    def test_references_that_nobody_resolved(self):
        self.refused(GOOGLE, {"extra": {"key_secret_name": "s"}}, "extra.key_secret_name is a reference that the node has not resolved")
        self.refused(GOOGLE, {"extra": {"extra__google_cloud_platform__key_secret_name": "s"}}, "extra.key_secret_name is a reference")
        self.refused(AWS, {"extra": {"key_secret_name": "s"}}, "extra.key_secret_name is a reference")
        self.refused(AZURE, {"host": "a.b", "extra": {"key_secret_name": "s", "key_vault_url": "https://v"}}, "extra.key_secret_name is a reference")

    def test_types_and_halves(self):
        self.refused((gcs_client, "postgres"), {}, "conn_type is postgres, and google_cloud_platform or ")
        self.refused(GOOGLE, {"extra": {"key_path": "/k.p12"}}, "extra.key_path names no .json file")
        self.refused(AWS, {"login": "id"}, "login and password is half a pair")
        self.refused(AWS, {"extra": {"aws_session_token": NEEDLE}}, "extra.aws_session_token belongs to a pair of keys, and there is none")
        half = {"host": "a.b", "extra": {"managed_identity_client_id": "c"}}
        self.refused(AZURE, half, "extra.managed_identity_client_id and workload_identity_tenant_id are a pair")
        self.refused(AZURE, {"host": "a.b", "login": "c", "extra": {"tenant_id": "t"}}, "extra.tenant_id wants a client in login and its secret in password")

    def test_what_is_denied_is_nobody_elses(self):
        self.volume.refuse("connection", "c")
        os.environ["AIRFLOW_CONN_C"] = "aws://bait:bait@"
        for make, _ in (GOOGLE, AWS, AZURE):
            with self.assertRaisesRegex(Refused, "is denied in the volume"):
                make("c")

    def test_a_missing_sdk_is_named(self):
        self.volume.connection("g", {"conn_type": "google_cloud_platform"})
        self.volume.connection("a", {"conn_type": "aws"})
        self.volume.connection("w", {"conn_type": "wasb", "host": "a.b", "password": "a2V5"})
        absent = dict.fromkeys(("google.auth", "google.cloud.storage", "boto3", "boto3.session", "azure.storage.blob"))
        with mock.patch.dict("sys.modules", absent):
            for make, conn_id, package in ((gcs_client, "g", "google-cloud-storage"), (s3_client, "a", "boto3"), (blob_client, "w", "azure-storage-blob")):
                with self.assertRaisesRegex(ImportError, f"pip install {package}"):
                    make(conn_id)


if __name__ == "__main__":
    unittest.main()
