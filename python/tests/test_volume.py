import os
import shutil
import sys
import threading
import unittest

from base import NEEDLE, VolumeCase

from leoflow_runtime import Missing, NotAsked, Refused, Unreadable, get_connection, get_variable


class TestLookUp(VolumeCase):
    def test_delivered(self):
        self.volume.connection("warehouse", "postgresql://u:p%40ss@h:5432/db?__extra__=%7B%22a%22%3A+1%7D")
        self.volume.connection("json", {"conn_type": "google-cloud-platform", "host": "H", "port": "80", "extra": {"a": [1]}})
        self.volume.variable("region", "north")
        found = get_connection("warehouse")
        self.assertEqual(("postgres", "u", "p@ss", "h", 5432, "db", {"a": 1}, "volume"), (
            found.conn_type, found.login, found.password, found.host, found.port, found.schema, found.extra_dejson, found.origin))
        found = get_connection("json")
        self.assertEqual(("google_cloud_platform", "H", 80, {"a": [1]}), (found.conn_type, found.host, found.port, found.extra_dejson))
        self.assertEqual("north", get_variable("region"))

    def test_each_connection_is_a_copy(self):
        self.volume.connection("warehouse", "postgres://u:p@h/db")
        get_connection("warehouse").password = "changed"
        self.assertEqual("p", get_connection("warehouse").password)

    def test_rotation_and_withdrawal_are_seen_at_once(self):
        self.volume.variable("region", "north")
        self.assertEqual("north", get_variable("region"))
        self.volume.variable("region", "south")
        self.assertEqual("south", get_variable("region"))
        self.volume.refuse("variable", "region")
        with self.assertRaisesRegex(Refused, 'variable "region" is denied in the volume .*: no rule lets this caller read it'):
            get_variable("region")

    def test_ids(self):
        for name in ("Warehouse", "ware.house", "team/db", "..", ".hidden", "100%", "acme___db", "größe", "a b(#!)"):
            self.volume.variable(name, "of " + name)
        for name in ("Warehouse", "ware.house", "team/db", "..", ".hidden", "100%", "acme___db", "größe", "a b(#!)"):
            self.assertEqual("of " + name, get_variable(name))
        with self.assertRaises(NotAsked):
            get_variable("warehouse")

    def test_bytes_that_are_no_text(self):
        self.volume.variable("raw", "a\udcffb")
        self.assertEqual(b"a\xffb", os.fsencode(get_variable("raw")))

    def test_a_refusal_is_final(self):
        for state in ("denied", "invalid", "unavailable"):
            self.volume.refuse("connection", state, state)
            self.volume.refuse("variable", state, state)
            os.environ["AIRFLOW_CONN_" + state.upper()] = os.environ["AIRFLOW_VAR_" + state.upper()] = "bait://bait"
            for look, named in ((get_connection, {}), (get_variable, {}), (get_variable, {"default": "x"})):
                with self.assertRaises(Refused) as caught:
                    look(state, **named)
                self.assertEqual(state, caught.exception.state)

    def test_missing_goes_on(self):
        self.volume.refuse("variable", "region", "missing", "core does not have it")
        with self.assertRaises(Missing):
            get_variable("region")
        self.assertEqual("x", get_variable("region", default="x"))
        self.assertIsNone(get_variable("region", default=None))
        os.environ["AIRFLOW_VAR_REGION"] = "of the environment"
        self.assertEqual("of the environment", get_variable("region", default="x"))

    def test_missing_that_becomes_denied_within_a_generation(self):
        self.volume.refuse("variable", "region", "missing", "core does not have it")
        self.assertEqual("x", get_variable("region", default="x"))
        self.volume._lines["variable", "region"]["state"] = "denied"
        with open(self.path("manifest.json.next"), "wb") as file:
            file.write(self.volume.manifest())
        os.rename(self.path("manifest.json.next"), self.path("manifest.json"))
        with self.assertRaises(Refused):
            get_variable("region", default="x")

    def test_what_was_not_asked_for(self):
        with self.assertRaisesRegex(NotAsked, 'connection "x" is not in the volume .*: list it under connections'):
            get_connection("x")
        os.environ["AIRFLOW_CONN_X"] = "google_cloud_platform:?__extra__=%7B%22project%22%3A+%22p%22%7D"
        found = get_connection("x")
        self.assertEqual(("google_cloud_platform", {"project": "p"}, "environment"), (found.conn_type, found.extra_dejson, found.origin))

    def test_a_broken_connection_beside_good_ones(self):
        self.volume.connection("good", "postgres://h")
        self.volume.connection("broken", f"postgres://u:{NEEDLE}@h:port/db")
        self.assertEqual("h", get_connection("good").host)
        os.environ["AIRFLOW_CONN_BROKEN"] = "bait://bait"
        with self.assertRaises(Refused) as caught:
            get_connection("broken")
        self.assertNotIn(NEEDLE, str(caught.exception))


class TestBadVolumes(VolumeCase):
    def refused(self, pattern):
        os.environ["AIRFLOW_VAR_REGION"] = "bait"
        with self.assertRaisesRegex(Unreadable, pattern):
            get_variable("region", default="default")

    def test_nothing_mounted(self):
        os.environ["LEOFLOW_DIR"] = self.directory + "-nowhere"
        os.environ["AIRFLOW_VAR_REGION"] = "of the environment"
        self.assertEqual(["of the environment"] * 2, [get_variable("region"), get_variable("region")])
        self.assertEqual(1, len(self.records.texts), "it warns once")
        self.assertIn("no Leoflow volume is mounted at " + self.directory, self.records.texts[0])
        with self.assertRaisesRegex(Missing, "no volume is mounted at .*, and AIRFLOW_VAR_OTHER is not set"):
            get_variable("other")

    def test_unmounted_after_use(self):
        self.volume.variable("region", "north")
        self.assertEqual("north", get_variable("region"))
        shutil.rmtree(self.directory)
        self.refused("cannot be read|has no ..data")

    def test_empty(self):
        os.environ["LEOFLOW_DIR"] = self.directory + "-empty"
        os.mkdir(os.environ["LEOFLOW_DIR"])
        self.refused("has no ..data: is it a Leoflow volume, and mounted without subPath")

    def test_half_written(self):
        os.remove(self.path("manifest.json"))
        self.refused("lacks .*manifest.json")

    def test_a_value_that_the_manifest_promises(self):
        self.volume.variable("region", "north")
        os.remove(self.path("variables", "region"))
        self.refused("lacks ")

    def test_manifests(self):
        for text, pattern in {
            b'{"schema": 2, "entries": "of another form"}': "schema 2 is newer than 1, the newest that this leoflow_runtime reads: upgrade it",
            b"": "it is not JSON", b"[]": "the manifest is not an object", b"{}": "it states no schema",
            b'{"schema": 1, "entries": {}}': "entries is not a list", b'{"schema": "1"}': "schema is not a count",
            b'{"schema": 1, "entries": [{"kind": "variable", "id": "a", "state": "delivered", "file": "../etc/passwd"}]}': "a file that is none of a volume",
            b'{"schema": 1, "entries": [{"kind": "variable", "id": "a", "state": "denied", "file": "variables/a"}]}': "is denied, yet names a file",
            b"\xff": "it is not JSON", b"[" * 100_000: "it is not JSON",
        }.items():
            with open(self.path("manifest.json"), "wb") as file:
                file.write(text)
            self.refused(pattern)

    def test_a_link_out_of_the_volume(self):
        for target in ("/etc", "..", "a/b"):
            os.remove(os.path.join(self.directory, "..data"))
            os.symlink(target, os.path.join(self.directory, "..data"))
            self.refused("leads out of the volume")

    def test_what_is_no_file(self):
        self.volume.variable("region", "north")
        os.remove(self.path("variables", "region"))
        os.symlink("/etc/passwd", self.path("variables", "region"))
        self.refused("cannot be read")
        os.remove(self.path("variables", "region"))
        os.mkfifo(self.path("variables", "region"))
        self.refused("is not a regular file")

    @unittest.skipUnless(os.geteuid() == 0, "takes root to become somebody else")
    def test_another_uid(self):
        self.volume.variable("region", "north")
        os.chmod(os.path.dirname(self.directory), 0o755)
        os.chmod(self.path("manifest.json"), 0o440)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(50000)
            os.setuid(50000)
            try:
                get_variable("region", default="default")
                said = "read"
            except Unreadable as error:
                said = str(error)
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        said = os.read(read, 10_000).decode()
        os.close(read)
        self.assertIn("cannot be read by uid 50000: the files belong to the pod's group: set securityContext.fsGroup", said)


class TestRotatingVolume(VolumeCase):
    def test_every_value_is_whole_and_never_older(self):
        """Threads and forks look up while the volume is replaced as fast as it can be."""
        self.volume.variable("pair", "0 0")
        get_variable("pair")  # a fork inherits what its parent remembers
        faults, stop = [], threading.Event()

        def look():
            last = 0
            while not stop.is_set():
                try:
                    one, other = get_variable("pair").split()
                    if one != other or int(one) < last:
                        faults.append(f"{one} {other} after {last}")
                    last = int(one)
                except Exception as error:
                    faults.append(repr(error))

        def child():
            worker = threading.Thread(target=look)
            worker.start()
            timer = threading.Timer(1, stop.set)
            timer.start()
            worker.join()
            os._exit(len(faults) > 0)

        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                child()
            children.append(pid)
        threads = [threading.Thread(target=look) for _ in range(16)]
        for each in threads:
            each.start()
        for number in range(1, 200):
            self.volume.variable("pair", f"{number} {number}")
        stop.set()
        for each in threads:
            each.join()
        codes = [os.waitpid(pid, 0)[1] for pid in children]
        self.assertEqual([], faults[:3])
        self.assertEqual([0] * 4, codes)


class TestFixture(unittest.TestCase):
    def test_file_names_are_the_drivers(self):
        from leoflow_runtime.testing import _file_name

        for name, file in {"a": "a", "team/db": "team%2Fdb", "..": "%2E.", "100%": "100%25", ".profile": "%2Eprofile"}.items():
            self.assertEqual(file, _file_name(name))


if __name__ == "__main__":
    sys.exit(unittest.main())
