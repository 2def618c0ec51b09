"""Automatic snapshots: taken by their schedule, named by the clock of the region, read with the requests of seed 002, restored, kept for seven days."""

import re
from datetime import datetime, timedelta, timezone
from typing import Iterator

import pytest

from harness.documents import assert_same, bulk, create_index, make_documents, read_all, restore
from harness.polling import wait_until
from harness.server import Server

INSTANCE = "es-cn-abcdefghijklmn"
API = f"/openapi/instances/{INSTANCE}"
REPOSITORY = "/_snapshot/aliyun_auto_snapshot"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def automatic(server: Server) -> Iterator[str]:
    """The name of a snapshot that was taken by its schedule."""
    for name in (".kibana", "books", ".monitoring-es-7"):
        create_index(server.http, name)
        bulk(server.http, name, make_documents(40))
    answer = server.http.post(f"{API}/snapshot-setting", {"enable": True, "quartzRegex": "*/3 * * ? * * *"}).ok()
    assert answer["Result"] == {"enable": True, "quartzRegex": "*/3 * * ? * * *", "indices": "*"}

    def probe() -> str | None:
        answer = server.http.get(f"{REPOSITORY}/_all")
        done = [info["snapshot"] for info in answer.json().get("snapshots", []) if info["state"] == "SUCCESS"] if answer.status == 200 else []
        return done[0] if len(done) > 1 else None

    yield wait_until("two automatic snapshots", probe)
    server.http.post(f"{API}/snapshot-setting", {"enable": False}).ok()


def test_the_name_is_the_moment_in_the_region(automatic: str) -> None:
    assert re.fullmatch(INSTANCE + r"_\d{14}", automatic)
    moment = datetime.strptime(automatic.removeprefix(INSTANCE + "_"), "%Y%m%d%H%M%S").replace(tzinfo=timezone(timedelta(hours=8)))
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=2)


def test_the_requests_of_the_source_document(server: Server, automatic: str) -> None:
    listed = server.http.get(f"{REPOSITORY}/_all").ok()["snapshots"]
    found = listed[0]
    assert found["snapshot"] == automatic
    assert found["indices"] == [".kibana", "books"]
    assert found["shards"] == {"total": 2, "failed": 0, "successful": 2}
    assert found["duration_in_millis"] == found["end_time_in_millis"] - found["start_time_in_millis"]
    [status] = server.http.get(f"{REPOSITORY}/{automatic}/_status").ok()["snapshots"]
    assert (status["snapshot"], status["repository"], status["state"]) == (automatic, "aliyun_auto_snapshot", "SUCCESS")
    assert status["shards_stats"] == {"initializing": 0, "started": 0, "finalizing": 0, "done": 2, "failed": 0, "total": 2}
    shard = status["indices"][".kibana"]["shards"]["0"]
    assert shard["stage"] == "DONE" and shard["stats"]["processed_files"] == shard["stats"]["number_of_files"]


def test_the_restores_of_the_documents(server: Server, automatic: str) -> None:
    before = read_all(server.http, "books")
    server.http.delete("/books").ok()
    restore(server.http, "aliyun_auto_snapshot", automatic, indices="*,-.monitoring*,-.security*,-.kibana*", ignore_unavailable="true")
    assert_same(read_all(server.http, "books"), before)
    more = {"rename_pattern": "(.+)", "rename_replacement": "$1-again", "settings": {"max_restore_bytes_per_sec": "20mb"}}
    restore(server.http, "aliyun_auto_snapshot", automatic, indices="books,nope", ignore_unavailable="true", **more)
    assert_same(read_all(server.http, "books-again"), before)


def test_it_goes_after_seven_days(server: Server, automatic: str) -> None:
    policy = f"/api/v1/policies/alibaba%2F{INSTANCE}%2Fauto"
    start_ms = server.http.get(f"{REPOSITORY}/{automatic}").ok()["snapshots"][0]["start_time_in_millis"]

    def goes(at_ms: int) -> bool:
        answer = server.http.get(f"{policy}/retention?at_ms={at_ms}").ok()
        [verdict] = [found for found in answer["snapshots"] if found["snapshot"] == automatic]
        return not verdict["keep"]

    assert not goes(start_ms + 7 * DAY_MS - 1000)
    assert goes(start_ms + 7 * DAY_MS + 1000)


def test_the_repository_tells_its_settings_as_strings(server: Server, automatic: str) -> None:
    settings = server.http.get(REPOSITORY).ok()["aliyun_auto_snapshot"]["settings"]
    assert settings == {"compress": "true", "location": f"aliyun_auto_snapshot/{INSTANCE}"}
