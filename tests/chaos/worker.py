"""A worker that a test can count: it claims elements, says of each its class and which attempt read it, and notes what was accepted.

worker.py NOTES PAUSE SEED

NOTES: the file for its notes, a line `ELEMENT ATTEMPT` for each commit that the server took. PAUSE: the longest time that one
claim takes, in seconds. Knows the HTTP API and nothing else; does not give up on a server that is away, whatever was under way.
"""

import http.client
import json
import os
import random
import sys
import time

notes, pause, seed = sys.argv[1], float(sys.argv[2]), sys.argv[3]
run, holder = os.environ["RUNYARD_WORKER_RUN_ID"], os.environ["RUNYARD_WORKER_HOLDER"]
dice = random.Random(f"{seed} {holder} {os.getpid()}")
headers = {"authorization": "Bearer " + os.environ["RUNYARD_TOKEN"], "content-type": "application/json"}
connection = None


def ask(verb, **body):
    """Asks until there is an answer: nobody knows whether what has none was done."""
    global connection
    while True:
        try:
            if connection is None:
                with open(os.environ["RUNYARD_SERVER_FILE"]) as file:
                    address = json.load(file)["url"].removeprefix("http://")
                connection = http.client.HTTPConnection(address, timeout=10)
            connection.request("POST", f"/api/v2/worker_runs/{run}/{verb}", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 200:
                return json.loads(text)["data"]
            # A server that has just begun, or another one on the port of ours.
            if answer.status not in (401, 404, 429, 500, 502, 503, 504):
                sys.exit(f"{verb}: {answer.status} {text.decode()}")
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            pass
        connection = None
        time.sleep(0.02)


def note(outcomes, attempts):
    accepted = (one["element_id"] for one in outcomes if one["outcome"] in ("accepted", "repeated"))
    lines = "".join(f"{element} {attempts[element]}\n" for element in accepted)
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, lines.encode())
    os.close(file)


def result(element, attempt):
    return {
        "element_id": element["element_id"],
        "attempt": attempt,
        "state": "processed",
        "results": {
            "classifications": [{"class": f"ends in {element['name'][-1]}", "confidence": 0.5}],
            "transcriptions": [{"text": f"{element['element_id']} {attempt}", "confidence": 1}],
        },
    }


def process(claimed):
    time.sleep(dice.uniform(0, pause))
    chance = dice.random()
    if chance < 0.1:
        ask("renew", holder=holder)
    elif chance < 0.2:
        given_back = {element["element_id"] for element in claimed[::2]}
        ask("release", holder=holder, elements=list(given_back))
        claimed = [element for element in claimed if element["element_id"] not in given_back]
    size = dice.randint(1, 100)
    for part in (claimed[at : at + size] for at in range(0, len(claimed), size)):
        attempts = {element["element_id"]: element["attempt"] for element in part}
        items = [result(element, element["attempt"]) for element in part]
        note(ask("commit", items=items), attempts)
        if dice.random() < 0.1:
            # As whoever heard no answer does.
            note(ask("commit", items=items), attempts)


while True:
    answer = ask("claim", holder=holder, limit=dice.randint(1, 100))
    if answer["claimed"]:
        process(answer["claimed"])
    elif answer["left"] == 0:
        break
    else:
        # What the answer to an earlier claim said may never have been heard.
        ask("release", holder=holder)
        time.sleep(0.05)
