"""What a crash leaves behind."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

from base import NEEDLE, VolumeCase

BEGIN = """import os, resource, sys
sys.path.insert(0, sys.argv[1])
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
"""
OPEN = "held = sys.argv[2]\n"
LOOK = "from leoflow_runtime import *\nheld = get_connection('warehouse').password\n"
ALLOW = "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)\n"
CRASH = "os.abort()\n"
CRASH_IN_CHILD = "pid = os.fork()\nif pid == 0: os.abort()\nos.waitpid(pid, 0)\nos.kill(os.getpid(), 9)\n"


class TestCoreFiles(VolumeCase):
    def leaves_needle(self, *parts, needle="", **environ):
        with tempfile.TemporaryDirectory() as place:
            program = [sys.executable, "-B", "-c", "".join((BEGIN, *parts)), os.path.dirname(os.path.dirname(os.path.abspath(__file__))), needle]
            done = subprocess.run(program, cwd=place, env={**os.environ, **environ}, capture_output=True, check=False)
            self.assertIn(-done.returncode, (signal.SIGABRT, signal.SIGKILL), done.stderr)
            self.assertNotIn(NEEDLE.encode(), done.stdout + done.stderr)
            found = False
            for name in os.listdir(place):
                with open(os.path.join(place, name), "rb") as file:
                    found = found or NEEDLE.encode() in file.read()
            return found

    def test_no_core_file_has_a_value(self):
        if not self.leaves_needle(OPEN, CRASH, needle=NEEDLE):
            self.skipTest("a crash leaves no core file in the working directory here")
        self.volume.connection("warehouse", f"postgres://u:{NEEDLE}@h/db")
        self.assertFalse(self.leaves_needle(LOOK, CRASH))
        self.assertFalse(self.leaves_needle(LOOK, CRASH_IN_CHILD), "nor does a process that this one starts")
        self.assertTrue(self.leaves_needle(LOOK, ALLOW, CRASH), "a program may allow it again")

    def test_a_value_of_the_environment(self):
        if not self.leaves_needle(OPEN, CRASH, needle=NEEDLE):
            self.skipTest("a crash leaves no core file in the working directory here")
        self.assertFalse(self.leaves_needle(LOOK, CRASH, AIRFLOW_CONN_WAREHOUSE=f"postgres://u:{NEEDLE}@h/db"))

    def test_what_was_not_looked_up_is_in_no_memory(self):
        """A program that allows core files leaves what it looked up there, and nothing else of the volume."""
        if not self.leaves_needle(OPEN, CRASH, needle=NEEDLE):
            self.skipTest("a crash leaves no core file in the working directory here")
        self.volume.connection("warehouse", "postgres://u:p@h/db")
        self.volume.connection("other", f"postgres://u:{NEEDLE}@h/db")
        self.volume.variable("region", NEEDLE)
        self.volume.refuse("connection", "payroll")
        refused = "try: get_connection('payroll')\nexcept Refused as error: print(error)\n"
        self.assertFalse(self.leaves_needle(LOOK, refused, ALLOW, CRASH))


if __name__ == "__main__":
    unittest.main()
