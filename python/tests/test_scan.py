import io
import os
import tempfile
import unittest
from contextlib import redirect_stdout

import base  # noqa: F401

from leoflow_runtime import scan

DAG = '''
from airflow.sdk import BaseHook, Connection, Variable
from leoflow_runtime.kubernetes import volume

BaseHook.get_connection("warehouse")
Connection.get(conn_id="by_name")
Variable.get("region", default="x")
Variable.get(key="by_key")
S3Hook(aws_conn_id="lake")
Operator(sql="SELECT '{{ var.value.table }}', {{ conn.mart.host }}, {{ var.json.get('settings', {}) }}", postgres_conn_id=made())
GCSHook(gcp_conn_id=None)
volume("warehouse, lake?", variables="region@core?")
print("nothing of {{ this }}", other.get("no id"))
'''
POD = '''
spec:
  volumes:
  - name: leoflow
    csi:
      volumeAttributes:
        connections: "by_name, unused?"
        variables: by_key, table
'''


class TestScan(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.directory = place.name
        self.write("dags/one.py", DAG)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def scan(self, *arguments):
        out = io.StringIO()
        with redirect_stdout(out):
            code = scan.main([os.path.join(self.directory, "dags"), *arguments])
        return code, out.getvalue().replace(self.directory + "/dags/", "").splitlines()

    def test_against_pods_and_rules(self):
        rules = self.write("rules.json", '{"rules": [{"connections": ["w*", "by_*", "lake", "mart"], "variables": ["*"]}, {"variables": []}]}')
        code, lines = self.scan("--pods", self.write("pod.yaml", POD), "--rules", rules)
        self.assertEqual(1, code)
        self.assertEqual([
            "connection by_name: one.py:6", "connection lake: one.py:9", "connection mart: one.py:10; no pod asks for it", "connection warehouse: one.py:5",
            "variable by_key: one.py:8", "variable region: one.py:7", "variable settings: one.py:10; no pod asks for it", "variable table: one.py:10",
            "connection ?: one.py:10; its id is made when the program runs", "connection unused: a pod asks for it, and no DAG uses it",
        ], lines)

    def test_what_no_rule_grants(self):
        everything = self.write("all.yaml", POD.replace("by_key, table", "'*'").replace('"by_name, unused?"', '"*"'))
        code, lines = self.scan("--rules", self.write("rules.json", '{"rules": [{"connections": ["*"]}]}'), "--pods", everything)
        self.assertEqual(1, code)
        self.assertIn("variable table: one.py:10; no rule grants it", lines)
        self.assertIn("connection mart: one.py:10", lines)

    def test_all_is_well(self):
        self.write("dags/one.py", "BaseHook.get_connection('a')")
        self.assertEqual((0, ["connection a: one.py:1"]), self.scan())

    def test_a_file_that_is_no_python(self):
        self.write("dags/two.py", "def (")
        code, lines = self.scan()
        self.assertEqual(1, code)
        self.assertRegex(lines[-1], "^unread: two.py: ")

    def test_attributes_in_braces(self):
        self.write("dags/one.py", "BaseHook.get_connection('a')\nBaseHook.get_connection('b')\nVariable.get('v')")
        for attributes in (
            '{connections: "a, b?", variables: "v?"}', "{variables: v, connections: a, b, refresh: 1m}", '{"connections": "a,b", "variables": "v"}',
        ):
            pods = self.write("pod.yaml", f"spec: {{volumes: [{{csi: {{volumeAttributes: {attributes}}}}}]}}")
            self.assertEqual((0, ["connection a: one.py:1", "connection b: one.py:2", "variable v: one.py:3"]), self.scan("--pods", pods), attributes)

    def test_what_is_not_there(self):
        for named in (["--pods", "nowhere"], ["--rules", self.write("rules.json", "[]")], ["nowhere"]):
            with self.assertRaisesRegex(SystemExit, "there is no nowhere|rules.json has no list"):
                self.scan(*named)


if __name__ == "__main__":
    unittest.main()
