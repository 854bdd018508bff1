"""Connections, against the model of Airflow's algorithm that the Go side is held against too."""

import json
import os
import subprocess
import sys
import unittest

import base

from leoflow_runtime import Connection

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pkg", "airflow", "testdata")
FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


def documented():
    with open(os.path.join(MODEL, "documented.tsv"), encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                _, _, form, outcome, text, *_ = line.rstrip("\n").split("\t")
                yield form, outcome, text.replace("⏎", "\n")


class TestParse(unittest.TestCase):
    def test_every_documented_connection(self):
        rows = [(form, text) for form, outcome, text in documented() if form in ("uri", "json") and outcome == "same"]
        self.assertGreater(len(rows), 200)
        asked = subprocess.run([sys.executable, os.path.join(MODEL, "airflow.py")], input=json.dumps(rows), stdout=subprocess.PIPE, text=True, check=True)
        for (_, text), wanted in zip(rows, json.loads(asked.stdout)):
            self.assertIn("value", wanted, text)
            wanted = wanted["value"]
            found = Connection.parse(text)
            for name in FIELDS:
                self.assertEqual(wanted[name] or None, getattr(found, name) or None, f"{name} of {text}")

    def test_documented_connections_survive_their_own_uri(self):
        for form, outcome, text in documented():
            if form == "uri" and outcome == "same" and "__extra__" in text:
                once = Connection.parse(text)
                again = Connection.parse(once.get_uri())
                self.assertEqual([getattr(once, name) or None for name in FIELDS if name != "host"],
                                 [getattr(again, name) or None for name in FIELDS if name != "host"], text)

    def test_types_with_underscores(self):
        for uri in ("google_cloud_platform:?project=p", "google_cloud_platform://?project=p", "google-cloud-platform://?project=p"):
            found = Connection.parse(uri)
            self.assertEqual(("google_cloud_platform", {"project": "p"}, ""), (found.conn_type, found.extra_dejson, found.host))

    def test_uris(self):
        for connection, uri in (
            (Connection(conn_type="sqlite", host="/tmp/x.db"), "sqlite://%2Ftmp%2Fx.db"),
            (Connection(conn_type="http", host="https://h", login="u"), "http://https://u@h"),
            (Connection(conn_type="a", port=5), "a://@:5"),
            (Connection(conn_type="a_b", login="", password="", schema="s", extra={"k": "v"}), "a-b://:@/s?k=v"),
            (Connection(conn_type="a", extra={"n": 1}), "a:///?__extra__=%7B%22n%22%3A+1%7D"),
        ):
            self.assertEqual(uri, connection.get_uri())

    def test_json_that_is_no_connection(self):
        deep = "[" * 50_000 + "]" * 50_000
        for text, why in {
            '{"port": 1e999}': "its port is not a number", '{"port": [1]}': "its port is not a number", '{"port": NaN}': "its port is not a number",
            '{"uri": 5}': "its uri is not text", '{"uri": []}': "its uri is not text", '{"conn_type": 5}': "its conn_type is not text",
            '{"extra": ' + deep + "}": "it is not JSON",
        }.items():
            with self.assertRaisesRegex(ValueError, why):
                Connection.parse(text)
        self.assertEqual({}, Connection(extra=deep).extra_dejson)

    def test_refusals_hold_no_value(self):
        for text in ("", "  ", f"a://u:{base.NEEDLE}@b://c://d", f"a://u:{base.NEEDLE}@h:port", f"a://u:{base.NEEDLE}@b://h", f'{{"password": "{base.NEEDLE}"',
                     f'{{"nosuch": "{base.NEEDLE}"}}', f'{{"port": "{base.NEEDLE}"}}', f"a://u:{base.NEEDLE}@[h"):
            with self.assertRaises(ValueError) as caught:
                Connection.parse(text)
            self.assertNotIn(base.NEEDLE, str(caught.exception))

    def test_printing_shows_no_value(self):
        found = Connection("x", password=base.NEEDLE, extra=base.NEEDLE)
        self.assertEqual("<Connection 'x'> <Connection 'x'>", f"{found} {found!r}")
        self.assertEqual({}, found.extra_dejson)


if __name__ == "__main__":
    unittest.main()
