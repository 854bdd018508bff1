import os
import time
import unittest

from base import NEEDLE, VolumeCase

from leoflow_runtime import get_connection, get_variable

STORED = {"code": "key-stored-in-core", "message": "extra.keyfile_dict is stored in core; prefer Workload Identity"}


class TestNotices(VolumeCase):
    def test_once_a_process(self):
        self.volume.connection("lake", {"conn_type": "google_cloud_platform"}, notices=[STORED, {"code": "delivered-as-json", "message": "no URI"}])
        for _ in range(3):
            get_connection("lake")
        self.volume.variable("region", "another generation")
        get_connection("lake")
        text = 'connection "lake": extra.keyfile_dict is stored in core; prefer Workload Identity (key-stored-in-core)'
        self.assertEqual([text], self.records.texts)
        read, write = os.pipe()
        if os.fork() == 0:  # a task is a fork of what may have looked up before
            get_connection("lake")
            os.write(write, str(len(self.records.texts)).encode())
            os._exit(0)
        os.wait()
        self.assertEqual(b"2", os.read(read, 10))

    def test_held_and_old(self):
        self.volume.variable("region", "north", held={"since": "2026-11-26T10:00:00Z", "why": "core cannot be asked"})
        long_ago = time.time() - 5000
        os.utime(self.path("manifest.json"), (long_ago, long_ago))
        for _ in range(3):
            get_variable("region")
        self.assertEqual(2, len(self.records.texts))
        self.assertEqual('variable "region" is what was delivered before: core cannot be asked', self.records.texts[0])
        self.assertRegex(self.records.texts[1], "was last confirmed 500. s ago")

    def test_nothing_to_say(self):
        self.volume.connection("warehouse", f"postgres://u:{NEEDLE}@h")
        get_connection("warehouse")
        self.assertEqual([], self.records.texts)


if __name__ == "__main__":
    unittest.main()
