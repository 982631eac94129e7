"""Loads the served document as the package's own client does, and makes the calls that are named on the command line:
a JSON list of `{"call": operation, "arguments": {..}, "paginate": bool}`. Prints what came of each, one line of JSON."""

import json
import sys

from arkindex import ArkindexClient, options_from_env

try:
    from arkindex.exceptions import ErrorResponse
except ImportError:
    from apistar.exceptions import ErrorResponse


def operations(client):
    links = getattr(client.document, "links", None)
    if isinstance(links, dict):
        return sorted(links)
    return sorted(info.link.name for info in client.document.walk_links())


client = ArkindexClient(**options_from_env())
print(json.dumps({"operations": operations(client)}))
for step in json.loads(sys.argv[1]):
    arguments = step.get("arguments", {})
    try:
        if step.get("paginate"):
            said = {"all": list(client.paginate(step["call"], **arguments))}
        else:
            said = {"answer": client.request(step["call"], **arguments)}
    except ErrorResponse as error:
        said = {"status": error.status_code, "content": error.content}
    print(json.dumps(said))
