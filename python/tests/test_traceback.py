"""What a traceback shows, with the variables of its frames, as pytest, rich and Sentry print it."""

import os
import traceback
import unittest
from unittest import mock

from base import NEEDLE, VolumeCase

from leoflow_runtime import get_connection, get_variable
from leoflow_runtime.cloud.aws import s3_client
from leoflow_runtime.cloud.azure import blob_client
from leoflow_runtime.cloud.gcp import gcs_client


class TestTracebacks(VolumeCase):
    def fails(self, call, *arguments, **named):
        try:
            call(*arguments, **named)
        except Exception as error:
            whole = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            self.assertIn("leoflow_runtime", whole)
            at = whole.find(NEEDLE)
            self.assertNotIn(NEEDLE, whole, f"…{whole[max(0, at - 300) : at + 50]}")
            return
        self.fail(f"{call} does not fail")

    def test_of_broken_connections(self):
        for text in (
            f"postgres://u:{NEEDLE}@h:port/db", f"postgres://u:{NEEDLE}@[h/db", f"a://b://{NEEDLE}://c",
            f'{{"password": "{NEEDLE}"', f'{{"conn_type": "x", "password": "{NEEDLE}", "port": "{NEEDLE}"}}', f'{{"n33": 1, "password": "{NEEDLE}"}}',
        ):
            self.volume.connection("broken", text)
            self.fails(get_connection, "broken")
            os.environ["AIRFLOW_CONN_EXPORTED"] = text
            self.fails(get_connection, "exported")

    def test_of_refusals_beside_good_ones(self):
        self.volume.connection("good", f"postgres://u:{NEEDLE}@h/db")
        self.volume.variable("region", NEEDLE)
        get_connection("good"), get_variable("region")
        self.volume.refuse("connection", "payroll")
        self.fails(get_connection, "payroll")
        self.fails(get_connection, "unlisted")
        os.remove(self.path("manifest.json"))
        self.fails(get_connection, "payroll")

    def test_of_native_clients(self):
        key = {"private_key": NEEDLE, "client_email": "e", "token_uri": "https://t"}
        for make, conn_type, fields in (
            (gcs_client, "google_cloud_platform", {"extra": {"keyfile_dict": key}}),
            (gcs_client, "google_cloud_platform", {"extra": {"keyfile_dict": NEEDLE}}),
            (gcs_client, "google_cloud_platform", {"extra": {"new_token": NEEDLE}}),
            (s3_client, "aws", {"login": "", "password": NEEDLE}),
            (s3_client, "aws", {"extra": {"aws_session_token": NEEDLE}}),
            (s3_client, "aws", {"login": "id", "password": NEEDLE, "extra": {"role_arn": "r", "assume_role_method": "other"}}),
            (blob_client, "wasb", {"password": NEEDLE, "extra": {"tenant_id": "t"}}),
            (blob_client, "wasb", {"password": NEEDLE}),
        ):
            self.volume.connection("c", {"conn_type": conn_type, **fields})
            self.fails(make, "c")

    def test_of_a_missing_sdk(self):
        self.volume.connection("g", {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {"private_key": NEEDLE}}})
        self.volume.connection("a", {"conn_type": "aws", "login": "id", "password": NEEDLE})
        self.volume.connection("w", {"conn_type": "wasb", "host": "a.b", "password": NEEDLE})
        absent = dict.fromkeys(("google.oauth2.service_account", "google.auth", "google.cloud.storage", "boto3", "boto3.session", "azure.storage.blob"))
        with mock.patch.dict("sys.modules", absent):
            for make, conn_id in ((gcs_client, "g"), (s3_client, "a"), (blob_client, "w")):
                self.fails(make, conn_id)


if __name__ == "__main__":
    unittest.main()
