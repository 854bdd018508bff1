"""What the tests share: a volume of their own, and everything that is printed."""

import logging
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from leoflow_runtime import notice
from leoflow_runtime.testing import FakeVolume

NEEDLE = "n33dle-in-a-haystack"


class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(self.format(record))


class VolumeCase(unittest.TestCase):
    """A test with a volume, found by LEOFLOW_DIR, and an environment that is restored."""

    def setUp(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        place = tempfile.TemporaryDirectory(dir=memory)
        self.addCleanup(place.cleanup)
        environ = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(environ)))
        self.directory = os.path.join(place.name, "volume")
        os.environ["LEOFLOW_DIR"] = self.directory
        self.volume = FakeVolume(self.directory)
        self.records = Records()
        logging.getLogger("leoflow_runtime").addHandler(self.records)
        self.addCleanup(logging.getLogger("leoflow_runtime").removeHandler, self.records)
        notice._said.clear()

    def path(self, *names):
        """A path in the generation that is shown."""
        return os.path.join(self.directory, os.readlink(os.path.join(self.directory, "..data")), *names)
