"""Sends the requests to one server and keeps its answers.

    python -m conformance.record opensearch|snapkeep FILE    writes them as JSON lines, for looking at
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

from harness.http import Http, Response
from harness.peer import OpenSearchPeer, prepare
from harness.server import Server

from conformance.requests import Request, fill, load

UNTIL_LIMIT_SECONDS = 30
ANSWER_LIMIT_SECONDS = 60


def ask(http: Http, request: Request, values: dict[str, str]) -> Response:
    headers, body = request.sent_headers(), request.sent_body(values)
    return http.send(request.method, fill(request.path, values), body, headers=headers, timeout_seconds=ANSWER_LIMIT_SECONDS)


def unfinished(request: Request, answer: Response) -> bool:
    pattern = request.until
    wanted = pattern.startswith("!")
    return bool(re.search(pattern.lstrip("!"), answer.text)) != wanted


def record(http: Http, repo_root: Path) -> dict[str, Response]:
    """All answers, by the request's id. A request without an answer has status 0 and the reason as its text."""
    values, answers = {"REPO": str(repo_root)}, {}
    for request in load():
        try:
            answer = ask(http, request, values)
            deadline = time.monotonic() + UNTIL_LIMIT_SECONDS
            while request.until and unfinished(request, answer) and time.monotonic() < deadline:
                time.sleep(0.1)
                answer = ask(http, request, values)
        except (OSError, KeyError) as error:
            answer = Response(0, {}, f"no answer: {error!r}")
        if request.save:
            name, key = request.save
            try:
                values[name] = answer.json()[key]
            except (ValueError, KeyError, TypeError):
                values[name] = "not-saved"
        text = answer.text.replace(str(repo_root), "{{REPO}}")
        answers[request.id] = Response(answer.status, answer.headers, text)
    return answers


def record_opensearch() -> dict[str, Response]:
    with tempfile.TemporaryDirectory(prefix="snapkeep-peer-") as folder, OpenSearchPeer(Path(folder)) as peer:
        return record(peer.http, peer.repo_root)


def record_snapkeep() -> dict[str, Response]:
    with tempfile.TemporaryDirectory(prefix="snapkeep-conformance-") as folder:
        with Server(Path(folder), environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "opensearch"}) as server:
            return record(server.http, server.repo_roots[0])


def main(which: str, path: str) -> None:
    if which == "opensearch":
        prepare()
    answers = record_opensearch() if which == "opensearch" else record_snapkeep()
    with open(path, "w") as out:
        for identity, answer in answers.items():
            out.write(json.dumps({"id": identity, "status": answer.status, "headers": answer.headers, "text": answer.text}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
