"""A processing job from Python, as a person writes it: the folder of this test is the first argument."""

import pathlib
import sys

import runyard

here = pathlib.Path(sys.argv[1])
processor = runyard.Processor(
    image=None,
    command="sh main.sh",
    source_dir=str(here / "src"),
    parameters={"lr": 0.1, "deep": True},
    environments={"MODE": "fast"},
    max_run_time=3600,
    base_job_name="ocr",
    spot_spec={"spot_strategy": "SpotAsPriceGo"},
    labels={"team": "ocr"},
)
processor.set_input_channels([runyard.Channel("train", required=True)])
processor.set_output_channels([runyard.Channel("result")])
run = processor.run({"train": str(here / "train"), "ref": str(here / "ref.csv")})
assert run["status"] == "job_completed", run
outputs = processor.get_outputs_data()
assert outputs == {"result": f"run://{run['id']}/output/result"}, outputs

again = runyard.Processor(None, ["cat"])
again.run({"all": outputs["result"]}, wait=False)

try:
    runyard.Processor(None, "echo trying; exit 3", base_job_name="bad").run()
except runyard.JobFailedError as error:
    print(error)
try:
    runyard.Processor(None, "true", max_run_time=-1).run()
except Exception as error:
    print(type(error).__name__, error.errors)
