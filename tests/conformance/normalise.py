"""Takes out of an answer what no two servers share: times, generated ids, sizes on disk, host names, hash orders.

Everything else stays, so that it is compared.
"""

import json
import re
from typing import Any

from harness.http import Response

from conformance.requests import Request

UUID = re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*[a-z0-9])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
JACKSON = re.compile(r"\n? ?at \[Source: .*?; line: \d+, column: \d+\]", re.S)
CLOCK = re.compile(r"\b\d\d:\d\d:\d\d\b")
EPOCH = re.compile(r"\b1[6-9]\d{8}\b")
DURATION = re.compile(r"\b\d+(\.\d+)?(ms|s|m|micros|nanos)\b")
ADDRESS = re.compile(r"127\.0\.0\.1(:\d+)?")
PATH = re.compile(r"(/[\w.-]+)+/(?=\{\{REPO\}\})|/tmp/[\w./-]+")

TIMES = ("_in_millis", "_millis", "start_time", "end_time", "stop_time", "time_in_millis", "took", "creation_date", "creation_time", "_age", "total_time", "throttle_time")
SIZES = ("size_in_bytes", "file_count", "total_in_bytes", "recovered_in_bytes", "reused_in_bytes", "number_of_files", "size", "docs_count")
IDENTITIES = ("uuid", "cluster_uuid", "history_uuid", "restoreUUID", "_scroll_id", "pit_id", "node", "node_id", "ephemeral_id")
VERSIONS = ("number", "version", "version_id", "build_hash", "build_date", "build_type", "build_snapshot", "lucene_version", "created",
            "minimum_wire_compatibility_version", "minimum_index_compatibility_version")

ORDERED = ("hits", "items", "docs", "sort", "tokens")
"""Lists whose order means something."""


def normalise(request: Request, answer: Response) -> dict[str, Any]:
    """The comparable part of an answer: `status`, `type` and `body`."""
    if request.status_only:
        return {"status": answer.status}
    found: dict[str, Any] = {"status": answer.status, "type": media_type(answer)}
    if "allow" in answer.headers:
        found["allow"] = sorted(answer.headers["allow"].replace(" ", "").split(","))
    if "x-opaque-id" in answer.headers:
        found["opaque"] = answer.headers["x-opaque-id"]
    body = answer.text
    if not request.text and body and "json" in answer.headers.get("content-type", ""):
        try:
            parsed = json.loads(body)
        except ValueError:
            found["body"] = f"not JSON: {body}"
            return found
        if isinstance(parsed, dict) and isinstance(parsed.get("snapshots"), list):
            # By start time, which a real server reads from a clock of 200 ms: several of a quick run share it.
            parsed["snapshots"].sort(key=lambda snapshot: str(snapshot.get("snapshot")))
        found["body"] = value("", parsed, request.drop)
    else:
        found["body"] = text(body)
    return found


def media_type(answer: Response) -> str:
    return answer.headers.get("content-type", "").replace(" ", "").lower()


def text(found: str) -> str:
    """A string with its variable parts replaced."""
    found = JACKSON.sub("", found)
    found = STAMP.sub("<time>", found)
    found = UUID.sub("<uuid>", found)
    found = CLOCK.sub("<clock>", found)
    found = EPOCH.sub("<epoch>", found)
    found = ADDRESS.sub("<address>", found)
    found = PATH.sub("", found)
    found = re.sub(r"(?<=allowed: )\[([A-Z, ]+)\]", lambda methods: str(sorted(methods[1].split(", "))), found)
    found = re.sub(r"(?<=indices )(\[\S+\]) and (\[\S+\])", lambda pair: " and ".join(sorted(pair.groups())), found)
    return re.sub(r"following characters \[.*?\]", "following characters [<set>]", found)


def value(key: str, found: Any, drop: tuple[str, ...]) -> Any:
    if key == "files" and isinstance(found, dict):
        # How many files a shard has is each server's own matter.
        return {name: "<count>" if isinstance(inner, int) else inner for name, inner in found.items()}
    if isinstance(found, dict):
        return {text(name): "<dropped>" if name in drop else value(name, inner, drop) for name, inner in found.items()}
    if isinstance(found, list):
        inner = [value(key, item, drop) for item in found]
        if key in ORDERED or key == "snapshots":
            return inner
        return sorted(inner, key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(found, bool) or found is None:
        return found
    if key in VERSIONS and not (key == "version" and isinstance(found, int)):
        return "<version>"
    if key in IDENTITIES:
        return "<id>"
    if key in SIZES or key.endswith("_in_bytes"):
        return "<size>"
    if key.endswith(TIMES) or key in ("duration", "time"):
        return "<time>"
    return text(found) if isinstance(found, str) else found
