from __future__ import annotations

import subprocess
import sys

LOSE = """
import os, signal, time
from mreg.cli.signals import Ended, orderly_end

class Tidied:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
"""
WORKING = """
try:
    with orderly_end():
        Tidied()
        while True:
            time.sleep(0.01)
except Ended as end:
    print("ended by", end.number)
"""
ENDING = """
with orderly_end():
    Tidied()
print(signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM) is signal.SIG_DFL)
"""


def test_signal_while_an_object_is_tidied_up_ends_all_the_same() -> None:
    assert run(LOSE + WORKING) == "ended by 15\n"


def test_signal_that_was_lost_at_the_end_rings_no_alarm_behind_it() -> None:
    assert run(LOSE + ENDING) == "(0.0, 0.0) True\n"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
