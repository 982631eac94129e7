"""Reports as a training program does, as fast as it goes: `report.py FILE STEPS`. Writes into FILE when it began, how long it took and how long it had a core."""

import sys
import time

import runyard

file, steps = sys.argv[1], int(sys.argv[2])
began, clock = time.time_ns(), time.perf_counter_ns()
for step in range(steps):
    loss = 2.0 / (1.0 + step / 1000.0)
    runyard.log_metrics({"train/loss": loss, "train/accuracy": 1.0 - loss / 2.0, "lr": 1e-3, "grad_norm": loss * 3.0}, step=step)
took, on_core = time.perf_counter_ns() - clock, time.process_time_ns()
with open(file, "w") as out:
    out.write(f"{began} {took} {on_core}")
