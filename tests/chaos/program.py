"""A program that a test can count: it reports record n, prints line n, and notes what happens to it outside of the job.

program.py NOTES COUNT PAUSE CODE [deaf] [children]

NOTES: the file for its notes. COUNT records, PAUSE seconds apart, then exit CODE. `deaf`: SIGTERM is noted and ignored.
`children`: it starts two processes that outlive it unless somebody ends them, one of them in a session of its own.
"""

import os
import signal
import subprocess
import sys
import time

notes, count, pause, code = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
options = sys.argv[5:]


def note(word, pid):
    line = f"{word} {pid} {time.time_ns() // 1_000_000}\n".encode()
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line)
    os.close(file)


def signalled(_number, _frame):
    note("signalled", os.getpid())
    if "deaf" not in options:
        note("ended", os.getpid())
        os._exit(0)


signal.signal(signal.SIGTERM, signalled)
note("launched", os.getpid())
if "children" in options:
    for own_session in (False, True):
        note("child", subprocess.Popen(["sleep", "600"], start_new_session=own_session).pid)
records = os.open(os.environ["RUNYARD_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for n in range(count):
    os.write(records, b'{"metric":{"tag":"n","global_step":%d,"value":%d}}\n' % (n, n))
    os.write(1, b"line %d\n" % n)
    time.sleep(pause)
note("ended", os.getpid())
sys.exit(code)
