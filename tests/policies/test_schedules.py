"""Policies that run by themselves: native API and command line."""

import time
from pathlib import Path

import pytest

from harness.documents import assert_same, bulk, create_index, make_documents, read_all, register, restore
from harness.polling import wait_until
from harness.server import Server
from policies.helpers import NATIVE, command, of_policy, prepare, runs, snapshots, text


@pytest.fixture(scope="module", autouse=True)
def prepared(server: Server) -> None:
    prepare(server)


def put(server: Server, name: str, **policy: object) -> dict:
    return server.http.put(f"{NATIVE}/{name}", {"repository": "main"} | policy).ok()


def test_snapshots_appear_and_go_by_themselves(server: Server) -> None:
    made = put(server, "ticking", schedule={"every": "1s"}, retention={"max_count": 2}, indices=["books"])
    assert made["version"] == 1 and made["origin"] == "native" and made["state"]["next_run_ms"]
    wait_until("five automatic snapshots", lambda: server.http.get(f"{NATIVE}/ticking").ok()["state"]["snapshots_taken"] >= 5, limit_seconds=60)
    wait_until("the oldest to be removed", lambda: server.http.get(f"{NATIVE}/ticking").ok()["state"]["snapshots_deleted"] >= 3, limit_seconds=60)
    server.http.post(f"{NATIVE}/ticking/disable").ok()
    wait_until("the last run to end", lambda: "in_progress" not in server.http.get(f"{NATIVE}/ticking").ok()["state"])
    left = of_policy(server.http, "ticking")
    assert 1 <= len(left) <= 3, [info["name"] for info in left]
    assert all(info["name"].startswith("ticking-2") for info in left)
    taken = server.http.get(f"{NATIVE}/ticking").ok()["state"]["snapshots_taken"]
    time.sleep(2.5)
    assert server.http.get(f"{NATIVE}/ticking").ok()["state"]["snapshots_taken"] == taken, "a disabled policy does not run"
    history = runs(server.http, "ticking", "snapshot")
    assert all(run["scheduled_ms"] <= run["started_ms"] for run in history) and {run["state"] for run in history} <= {"success", "skipped"}


def test_an_automatic_snapshot_restores_like_any_other(server: Server) -> None:
    expected = read_all(server.http, "books")
    name = of_policy(server.http, "ticking")[-1]["name"]
    restore(server.http, "main", name, rename_pattern="(.+)", rename_replacement="back-$1")
    assert_same(read_all(server.http, "back-books"), expected)


def test_versions_and_conflicts(server: Server) -> None:
    first = put(server, "versions", schedule={"daily": "01:30", "time_zone": "Europe/Berlin"})
    assert put(server, "versions", schedule={"daily": "01:30", "time_zone": "Europe/Berlin"})["version"] == first["version"]
    second = put(server, "versions", schedule={"daily": "02:30"}, expected_version=1)
    assert second["version"] == 2 and second["schedule"] == {"daily": "02:30", "time_zone": "UTC"}
    stale = server.http.put(f"{NATIVE}/versions", {"repository": "main", "expected_version": 1})
    assert stale.status == 409 and stale.json()["error"]["code"] == "policy_changed"
    taken = server.http.put(f"{NATIVE}/versions", {"repository": "main", "expected_version": 0})
    assert taken.status == 409 and taken.json()["error"]["code"] == "policy_exists"
    assert server.http.delete(f"{NATIVE}/versions").status == 204
    gone = server.http.get(f"{NATIVE}/versions")
    assert gone.status == 404 and gone.json()["error"]["code"] == "policy_missing"


@pytest.mark.parametrize(
    "policy, status, code",
    [
        ({"repository": "nope"}, 404, "repository_missing"),
        ({"schedule": {}}, 400, "invalid_schedule"),
        ({"schedule": {"every": "1h", "daily": "01:00"}}, 400, "invalid_schedule"),
        ({"schedule": {"cron": "99 * * * *"}}, 400, "invalid_schedule"),
        ({"schedule": {"daily": "01:00", "time_zone": "Mars/Base"}}, 400, "invalid_schedule"),
        ({"schedule": {"every": "1 fortnight"}}, 400, "invalid_duration"),
        ({"retention": {"max_age": "soon"}}, 400, "invalid_duration"),
        ({"retention": {"min_count": 5, "max_count": 2}}, 400, "policy_refused"),
        ({"lock": "0s"}, 400, "invalid_duration"),
        ({"verification": {"sample_after_run": 7}}, 400, "policy_refused"),
        ({"name": "UPPER"}, 400, "policy_refused"),
        ({"bogus": 1}, 400, "invalid_body"),
    ],
    ids=str,
)
def test_policies_that_cannot_be_used_are_refused(server: Server, policy: dict, status: int, code: str) -> None:
    answer = server.http.put(f"{NATIVE}/refused", {"repository": "main"} | policy)
    assert (answer.status, answer.json()["error"]["code"]) == (status, code), answer.text
    assert server.http.get(f"{NATIVE}/refused").status == 404


def test_names_of_other_origins_are_told_apart(server: Server) -> None:
    server.http.put("/_slm/policy/elsewhere", {"schedule": "1h", "name": "e", "repository": "main"}).ok()
    missing = server.http.get(f"{NATIVE}/elsewhere")
    assert missing.status == 404 and missing.json()["error"]["hint"] == "there is slm/elsewhere"
    shown = server.http.get(f"{NATIVE}/slm%2Felsewhere").ok()
    assert shown["origin"] == "slm" and shown["schedule"] == {"every": "1h", "time_zone": "UTC"}
    foreign = server.http.put(f"{NATIVE}/slm%2Felsewhere", {"repository": "main"})
    assert foreign.status == 409 and foreign.json()["error"]["code"] == "policy_foreign"
    put(server, "elsewhere")
    ids = [policy["id"] for policy in server.http.get(NATIVE).ok()["policies"]]
    assert "elsewhere" in ids and "slm/elsewhere" in ids
    for name in ("elsewhere", "slm%2Felsewhere"):
        assert server.http.delete(f"{NATIVE}/{name}").status == 204


def test_the_commands_from_making_to_removing(server: Server) -> None:
    told = text(server, "policy", "add", "nightly", "--repository", "main", "--daily", "01:30", "--time-zone", "Europe/Berlin", "--index", "books",
                "--max-age", "30d", "--min-count", "5", "--keep-weekly", "4", "--verify-sample", "50%")
    assert "next run" in told and "01:30" in told and "Europe/Berlin" in told
    assert "nightly" in text(server, "policy", "ls")
    shown = command(server, "policy", "show", "nightly")
    assert shown["retention"] == {"max_age": "30d", "min_count": 5, "keep": {"hourly": 0, "daily": 0, "weekly": 4, "monthly": 0, "yearly": 0}}
    taken = command(server, "policy", "run", "nightly")["snapshot"]
    assert taken["state"] == "SUCCESS" and taken["policy"] == "nightly" and [index["name"] for index in taken["indices"]] == ["books"]
    assert "SUCCESS" in text(server, "policy", "run", "nightly")
    verified = wait_until(
        "the sample to be read", lambda: [run for run in runs(server.http, "nightly") if (run.get("verification") or {}).get("ok") is not None]
    )
    assert verified[0]["verification"]["ok"] is True
    assert "asked for" in text(server, "policy", "runs", "nightly", "--limit", "5")
    preview = command(server, "policy", "preview", "nightly")
    assert [verdict["keep"] for verdict in preview["snapshots"]] == [True, True]
    later = command(server, "policy", "preview", "nightly", "--at", "2099-01-01T00:00:00Z")["snapshots"]
    assert all(verdict["keep"] for verdict in later), "five successful ones stay whatever their age"
    assert "keep" in text(server, "policy", "preview", "nightly")
    assert "nothing to remove" in text(server, "policy", "retain", "nightly")
    assert "disabled" in text(server, "policy", "disable", "nightly")
    assert "disabled" in text(server, "policy", "ls")
    assert "next run" in text(server, "policy", "enable", "nightly")
    assert "its snapshots stay" in text(server, "policy", "rm", "nightly")
    assert taken["name"] in {info["name"] for info in snapshots(server.http)}


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("policy", "show", "nope"), 5),
        (("policy", "run", "nope"), 5),
        (("policy", "rm", "nope"), 5),
        (("policy", "add", "x", "--repository", "nope"), 5),
        (("policy", "add", "x", "--repository", "main", "--daily", "never"), 1),
        (("policy", "add", "x", "--repository", "main", "--weekly", "sunday"), 2),
        (("policy", "add", "x", "--repository", "main", "--daily", "01:00", "--every", "1h"), 2),
        (("policy", "add", "x"), 2),
        (("snapshot", "lock", "main", "nope", "--for", "1d"), 5),
        (("snapshot", "lock", "main", "nope"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_commands_that_fail_say_why(server: Server, arguments: tuple, code: int) -> None:
    told = text(server, *arguments, code=code)
    assert told.strip() and "panicked" not in told


def test_grandfather_father_son_in_a_preview(server: Server) -> None:
    """One of each day is kept: of snapshots taken within one day, the last."""
    put(server, "gfs", retention={"keep": {"daily": 3}, "schedule": {"monthly": {"day": 1, "at": "00:00"}}})
    names = [command(server, "policy", "run", "gfs")["snapshot"]["name"] for _ in range(3)]
    verdicts = {verdict["snapshot"]: verdict for verdict in command(server, "policy", "preview", "gfs")["snapshots"]}
    assert verdicts[names[-1]]["keep"] is True
    # At midnight they may belong to two days.
    assert sum(verdict["keep"] for verdict in verdicts.values()) <= 2
    done = command(server, "policy", "retain", "gfs")
    assert set(done["deleted"]) == {name for name, verdict in verdicts.items() if not verdict["keep"]}
    assert command(server, "policy", "retain", "gfs")["deleted"] == []


def test_the_last_good_one_is_never_removed(server: Server) -> None:
    put(server, "careful", retention={"max_age": "1s"})
    command(server, "policy", "run", "careful")
    last = command(server, "policy", "run", "careful")["snapshot"]["name"]
    time.sleep(1.5)
    command(server, "policy", "retain", "careful")
    [verdict] = command(server, "policy", "preview", "careful")["snapshots"]
    assert verdict["snapshot"] == last and verdict["keep"] is True and verdict["reason"]


def test_a_run_that_is_due_while_one_is_at_work_is_skipped(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        create_index(server.http, "books")
        bulk(server.http, "books", make_documents(1500, text_bytes=800))
        register(server.http, "slow", max_snapshot_bytes_per_sec="200kb")
        server.http.put(f"{NATIVE}/slow", {"repository": "slow", "schedule": {"every": "1s"}}).ok()
        skipped = wait_until("a skipped run", lambda: [run for run in runs(server.http, "slow") if run["state"] == "skipped"])
        assert skipped[0]["reason"]
        assert server.http.post(f"{NATIVE}/slow/run").status == 409
        assert "in_progress" in server.http.get(f"{NATIVE}/slow").ok()["state"]
        server.http.post(f"{NATIVE}/slow/disable").ok()


def test_missed_runs_are_made_up_for_once(tmp_path: Path) -> None:
    """While the server is down several runs pass; after the start one makes up for all of them, and policy and history are still there."""
    server = Server(tmp_path)
    with server:
        prepare(server)
        server.http.put(f"{NATIVE}/often", {"repository": "main", "schedule": {"every": "4s"}}).ok()
        wait_until("a first run", lambda: of_policy(server.http, "often"))
        wait_until("its end", lambda: all(run["state"] != "running" for run in runs(server.http, "often")))
        before = {run["id"] for run in runs(server.http, "often")}
    time.sleep(7)
    roots = [argument for root in server.repo_roots for argument in ("--repo-root", str(root))]
    offline = command(server, "policy", "runs", "often", *roots)["runs"]
    assert {run["id"] for run in offline} == before, "a command that works offline begins nothing"
    time.sleep(4)
    with server:
        caught_up = wait_until("the run that makes up", lambda: [run for run in runs(server.http, "often") if run["missed"] > 0])
        assert len(caught_up) == 1 and caught_up[0]["missed"] >= 1
        assert before <= {run["id"] for run in runs(server.http, "often")}
        wait_until("the schedule to go on", lambda: any(run["scheduled_ms"] > caught_up[0]["scheduled_ms"] for run in runs(server.http, "often", "snapshot")))
        assert sum(run["missed"] > 0 for run in runs(server.http, "often")) == 1


def test_a_kill_in_the_middle_of_a_run_leaves_a_failure_and_the_schedule(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server:
        create_index(server.http, "books")
        bulk(server.http, "books", make_documents(1500, text_bytes=800))
        register(server.http, "main", max_snapshot_bytes_per_sec="100kb")
        server.http.put(f"{NATIVE}/cut", {"repository": "main", "schedule": {"hourly": 0}}).ok()
        server.http.post(f"{NATIVE}/cut/run").ok()
        wait_until("the run", lambda: "in_progress" in server.http.get(f"{NATIVE}/cut").ok()["state"])
        server.kill()
    with server:
        [run] = wait_until("the cut run to end", lambda: [run for run in runs(server.http, "cut", "snapshot") if run["state"] != "running"])
        assert run["state"] == "failed" and run["reason"]
        state = server.http.get(f"{NATIVE}/cut").ok()["state"]
        assert state["snapshots_failed"] == 1 and "in_progress" not in state and state["next_run_ms"]
        register(server.http, "main", max_snapshot_bytes_per_sec="0")
        assert command(server, "policy", "run", "cut")["snapshot"]["state"] == "SUCCESS"
