"""What a server that is killed again and again must still know: a model of its data beside it."""

import json
import random
import time
from dataclasses import dataclass, field

from crash.killed import KilledWorld, Writer
from harness.documents import NDJSON, Documents, assert_same, bulk, create_index, make_documents, read_all, register, restore, take
from harness.polling import wait_until
from harness.stock_restic import Restic

REPOSITORY = "r"
DOCUMENTS = 600
KEPT_SNAPSHOTS = 6
SETTLE_LIMIT_SECONDS = 10


class DocumentWriter(Writer):
    def write_batch(self, batch: int) -> set[str]:
        names = [f"{self.run_number}-{batch}-{number}" for number in range(5)]
        lines = "".join(json.dumps({"index": {"_id": name}}) + "\n" + json.dumps({"name": name}) + "\n" for name in names)
        answer = self.server.http.post("/live/_bulk", lines, headers=NDJSON, timeout_seconds=10)
        if answer.status != 200:
            return set()
        outcomes = [next(iter(item.values())) for item in answer.json()["items"]]
        return {outcome["_id"] for outcome in outcomes if outcome["status"] < 300}


@dataclass
class World(KilledWorld):
    """`written` are documents of `live`."""

    documents: dict[str, Documents] = field(default_factory=dict)
    """Of each finished snapshot: what `data` held."""
    longest: dict[str, float] = field(default_factory=lambda: {"snapshot": 0.4, "restore": 0.4, "delete": 0.2, "prune": 0.2})

    def make_writer(self, run: int) -> Writer:
        return DocumentWriter(self.server, run)

    def prepare(self) -> None:
        create_index(self.server.http, "data", shards=2)
        create_index(self.server.http, "live")
        bulk(self.server.http, "data", make_documents(DOCUMENTS, seed=0))
        register(self.server.http, REPOSITORY)
        for _ in range(3):
            self.change(random.Random(self.taken))
            name = self.next_name()
            self.documents[name] = read_all(self.server.http, "data")
            take(self.server.http, REPOSITORY, name, "data,live")

    def next_name(self) -> str:
        self.taken += 1
        return f"s{self.taken:03}"

    def change(self, source: random.Random) -> None:
        """A fifth of the documents anew, a few deleted."""
        fresh = dict(make_documents(DOCUMENTS, seed=source.randrange(1_000_000)))
        bulk(self.server.http, "data", [(identity, fresh[identity]) for identity in source.sample(sorted(fresh), DOCUMENTS // 5)])
        lines = "".join(json.dumps({"delete": {"_id": f"d{number}"}}) + "\n" for number in source.sample(range(DOCUMENTS), 5))
        self.server.http.post("/data/_bulk?refresh=true", lines, headers=NDJSON).ok()

    def restic(self) -> Restic:
        return Restic.of_server(self.server.data, REPOSITORY, self.cache)

    def listed(self) -> dict[str, dict]:
        return {info["snapshot"]: info for info in self.server.http.get(f"/_snapshot/{REPOSITORY}/_all").ok()["snapshots"]}

    def do_snapshot(self, source: random.Random):
        self.change(source)
        name = self.next_name()
        self.documents[name] = read_all(self.server.http, "data")
        return lambda: take(self.server.http, REPOSITORY, name, "data,live")

    def do_restore(self, source: random.Random):
        name = source.choice(sorted(self.documents))
        return lambda: restore(self.server.http, REPOSITORY, name, indices="data", rename_pattern="(.+)", rename_replacement="restored-$1")

    def do_delete(self, source: random.Random):
        name = source.choice(sorted(self.documents)[:-1])
        return lambda: self.server.http.delete(f"/_snapshot/{REPOSITORY}/{name}").ok()

    def do_prune(self, source: random.Random):
        if len(self.documents) > 3:
            name = min(self.documents)
            self.server.http.delete(f"/_snapshot/{REPOSITORY}/{name}").ok()
            del self.documents[name]
        return lambda: self.server.http.post(f"/_snapshot/{REPOSITORY}/_cleanup").ok()

    def prove(self, source: random.Random, every_byte: bool) -> None:
        def nothing_runs() -> bool:
            return not self.server.http.get("/_snapshot/_status").ok()["snapshots"] and all(info["state"] != "IN_PROGRESS" for info in self.listed().values())

        wait_until("interrupted snapshots to be resumed or failed", nothing_runs)
        listed = self.listed()
        for name, info in listed.items():
            assert info["state"] in ("SUCCESS", "FAILED"), info
            assert info["state"] == "SUCCESS" or info.get("reason") or info["failures"], f"{name} failed without a reason: {info}"
        stock = self.restic()
        stock.check(*(["--read-data"] if every_byte else []))
        complete = self.agreed(stock)
        assert complete <= set(self.documents), "a snapshot that was deleted, or that never was, is listed"
        for name in set(self.documents) - complete:
            del self.documents[name]

        self.prove_writes()
        self.prove_restores(source)
        for name in set(listed) - complete:
            self.server.http.delete(f"/_snapshot/{REPOSITORY}/{name}").ok()
        while len(self.documents) > KEPT_SNAPSHOTS:
            oldest = min(self.documents)
            self.server.http.delete(f"/_snapshot/{REPOSITORY}/{oldest}").ok()
            del self.documents[oldest]

    def agreed(self, stock: Restic) -> set[str]:
        """The snapshots that both catalogue and repository tell of. The server reads its repositories anew right after its start."""
        deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
        while True:
            there = set(stock.names())
            complete = {name for name, info in self.listed().items() if info["state"] == "SUCCESS"}
            if there == complete:
                return complete
            assert time.monotonic() < deadline, f"catalogue and repository tell different snapshots: only listed {complete - there}, only stored {there - complete}"
            time.sleep(0.2)

    def prove_writes(self) -> None:
        there = read_all(self.server.http, "live")
        lost = self.written - there.keys()
        assert not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}"
        wrong = [name for name in self.written if there[name]["_source"] != {"name": name}]
        assert not wrong, f"acknowledged writes came back different: {wrong[:5]}"

    def prove_restores(self, source: random.Random) -> None:
        """A half-restored index must not be there; one earlier snapshot, and the newest, restore document for document."""
        indices = {row["index"] for row in self.server.http.get("/_cat/indices?format=json&h=index&expand_wildcards=all").ok()}
        assert indices <= {"data", "live", "restored-data"}, indices
        if "restored-data" in indices:
            found = read_all(self.server.http, "restored-data")
            assert any(found == documents for documents in self.documents.values()), "a restored index must be one snapshot's documents"
            self.server.http.delete("/restored-data").ok()
        for name in {max(self.documents), source.choice(sorted(self.documents))}:
            restore(self.server.http, REPOSITORY, name, indices="data", rename_pattern="(.+)", rename_replacement="proof-$1")
            assert_same(read_all(self.server.http, "proof-data"), self.documents[name])
            self.server.http.delete("/proof-data").ok()
