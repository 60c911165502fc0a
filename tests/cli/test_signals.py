from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, time
from mreg.cli.signals import Ended, orderly_end

class Tidied:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)

try:
    with orderly_end():
        Tidied()
        while True:
            time.sleep(0.01)
except Ended as end:
    print("ended by", end.number)
"""


def test_signal_while_an_object_is_tidied_up_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended by 15\n"
