"""The same for collections, driven as a Weaviate client drives them: a model of the objects beside a server that is killed."""

import random
import uuid
from dataclasses import dataclass, field

from crash.killed import KilledWorld, Writer
from harness.polling import wait_until
from harness.stock_restic import Restic

BACKEND = "filesystem"
REPOSITORY = "weaviate-filesystem"
"""Where that back end keeps its backups when nothing else is configured."""
OBJECTS = 400
DIMENSIONS = 64
TENANTS = ("north", "south", "cold")
KEPT_BACKUPS = 6
ENDED = ("SUCCESS", "FAILED", "CANCELED")

Objects = dict[str, dict]
"""By tenant and id, as the server tells them, vectors included."""


def identity(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


def make_object(class_name: str, number: int, source: random.Random, tenant: str | None = None) -> dict:
    made = {
        "class": class_name, "id": identity(class_name, tenant, number),
        "properties": {"number": number, "text": f"{source.randrange(10**9)} words"},
        "vector": [source.uniform(-1, 1) for _ in range(DIMENSIONS)],
    }
    return made if tenant is None else made | {"tenant": tenant}


class ObjectWriter(Writer):
    def write_batch(self, batch: int) -> set[str]:
        source = random.Random(self.run_number * 100_000 + batch)
        first = self.run_number * 100_000 + batch * 5
        objects = [make_object("Live", number, source) for number in range(first, first + 5)]
        answer = self.server.http.post("/v1/batch/objects", {"objects": objects}, timeout_seconds=10)
        return {item["id"] for item in answer.json() if item["result"]["status"] == "SUCCESS"} if answer.status == 200 else set()


@dataclass
class CollectionsWorld(KilledWorld):
    """`written` are objects of `Live`."""

    objects: dict[str, dict[str, Objects]] = field(default_factory=dict)
    """Of each finished backup: what each class held."""
    longest: dict[str, float] = field(default_factory=lambda: {"backup": 0.4, "restore": 0.4, "cancel": 0.3, "purge": 0.2})

    def make_writer(self, run: int) -> Writer:
        return ObjectWriter(self.server, run)

    def prepare(self) -> None:
        self.post("/v1/schema", {"class": "Data", "vectorizer": "none", "shardingConfig": {"desiredCount": 2}})
        self.post("/v1/schema", {"class": "Notes", "vectorizer": "none", "multiTenancyConfig": {"enabled": True}})
        self.post("/v1/schema", {"class": "Live", "vectorizer": "none"})
        self.post("/v1/schema/Notes/tenants", [{"name": tenant} for tenant in TENANTS])
        source = random.Random(0)
        self.write([make_object("Data", number, source) for number in range(OBJECTS)])
        for tenant in TENANTS:
            self.write([make_object("Notes", number, source, tenant) for number in range(50)])
        for _ in range(3):
            self.change(random.Random(self.taken))
            name = self.begin_name()
            self.back_up(name)

    def post(self, path: str, body: object) -> object:
        return self.server.http.post(path, body).ok()

    def write(self, objects: list[dict]) -> None:
        for item in self.post("/v1/batch/objects", {"objects": objects}):
            assert item["result"]["status"] == "SUCCESS", item

    def change(self, source: random.Random) -> None:
        """A fifth of the objects anew, a few deleted; a tenant goes cold or comes back."""
        self.write([make_object("Data", number, source) for number in source.sample(range(OBJECTS), OBJECTS // 5)])
        self.write([make_object("Notes", number, source, "north") for number in source.sample(range(50), 10)])
        for number in source.sample(range(OBJECTS), 5):
            self.server.http.delete(f"/v1/objects/Data/{identity('Data', None, number)}")
        status = source.choice(["HOT", "COLD"])
        self.server.http.put("/v1/schema/Notes/tenants", [{"name": "cold", "activityStatus": status}]).ok()

    def begin_name(self) -> str:
        """The name of the next backup; what it will hold is noted."""
        self.taken += 1
        name = f"b{self.taken:03}"
        self.objects[name] = {"Data": self.read("Data"), "Notes": self.read("Notes")}
        return name

    def read(self, class_name: str) -> Objects:
        """All objects of a class. The cold tenant is told by its status only; its objects are looked at when it is restored."""
        described = self.server.http.get(f"/v1/schema/{class_name}").ok()
        if not described.get("multiTenancyConfig", {}).get("enabled"):
            return self.read_part(class_name, "")
        found: Objects = {}
        for tenant in self.server.http.get(f"/v1/schema/{class_name}/tenants").ok():
            hot = tenant["activityStatus"] in ("HOT", "ACTIVE")
            found[f"{tenant['name']}/"] = {"hot": hot}
            if hot:
                found |= {f"{tenant['name']}/{known}": told for known, told in self.read_part(class_name, f"&tenant={tenant['name']}").items()}
        return found

    def read_part(self, class_name: str, more: str) -> Objects:
        found: Objects = {}
        after = ""
        while page := self.server.http.get(f"/v1/objects?class={class_name}&limit=500&include=vector{after}{more}").ok()["objects"]:
            found |= {told["id"]: {key: told.get(key) for key in ("properties", "vector", "creationTimeUnix", "lastUpdateTimeUnix")} for told in page}
            after = f"&after={page[-1]['id']}"
        return found

    def back_up(self, name: str) -> None:
        self.post(f"/v1/backups/{BACKEND}", {"id": name, "include": ["Data", "Notes"]})
        self.wait_for(f"/v1/backups/{BACKEND}/{name}", "SUCCESS")

    def restore(self, name: str, prefix: str) -> None:
        rename = {class_name: prefix + class_name for class_name in ("Data", "Notes")}
        self.post(f"/v1/backups/{BACKEND}/{name}/restore", {"config": {"rename": rename}})
        self.wait_for(f"/v1/backups/{BACKEND}/{name}/restore", "SUCCESS")

    def wait_for(self, path: str, status: str) -> None:
        told = wait_until(path, lambda: (told := self.server.http.get(path).ok())["status"] in ENDED and told)
        assert told["status"] == status, told

    def listed(self) -> dict[str, dict]:
        return {backup["id"]: backup for backup in self.server.http.get(f"/v1/backups/{BACKEND}").ok()}

    def classes(self) -> set[str]:
        return {described["class"] for described in self.server.http.get("/v1/schema").ok()["classes"]}

    def drop(self, *names: str) -> None:
        for name in names:
            answer = self.server.http.delete(f"/v1/schema/{name}")
            assert answer.status == 200, answer.text

    def purge(self, name: str) -> None:
        answer = self.server.http.delete(f"/v1/backups/{BACKEND}/{name}/purge")
        assert answer.status == 204, answer.text

    def do_backup(self, source: random.Random):
        self.change(source)
        name = self.begin_name()
        return lambda: self.back_up(name)

    def do_restore(self, source: random.Random):
        name = source.choice(sorted(self.objects))
        return lambda: self.restore(name, "Restored")

    def do_cancel(self, source: random.Random):
        self.change(source)
        name = self.begin_name()

        def act() -> None:
            self.post(f"/v1/backups/{BACKEND}", {"id": name, "include": ["Data", "Notes"]})
            self.server.http.delete(f"/v1/backups/{BACKEND}/{name}")

        return act

    def do_purge(self, source: random.Random):
        name = source.choice(sorted(self.objects)[:-1])
        return lambda: self.purge(name)

    def prove(self, source: random.Random, every_byte: bool) -> None:
        listed = self.listed()
        for name, backup in listed.items():
            assert backup["status"] in ENDED, f"nothing runs after a restart: {backup}"
            told = self.server.http.get(f"/v1/backups/{BACKEND}/{name}").ok()
            assert told["status"] == backup["status"], told
            assert told["status"] == "SUCCESS" or told["error"], f"{name} failed without a reason: {told}"
            restored = self.server.http.get(f"/v1/backups/{BACKEND}/{name}/restore")
            assert restored.status == 404 or restored.json()["status"] in ENDED, restored.text
        stock = Restic.of_server(self.server.data, REPOSITORY, self.cache)
        stock.check(*(["--read-data"] if every_byte else []))
        complete = {name for name, backup in listed.items() if backup["status"] == "SUCCESS"}
        stored = set(stock.names())
        assert stored == complete, f"list and repository tell different backups: only listed {complete - stored}, only stored {stored - complete}"
        assert complete <= set(self.objects), "a backup that was purged, or that never was, is listed"
        for name in set(self.objects) - complete:
            del self.objects[name]
        self.prove_writes()
        self.prove_restores(source)
        for name in set(listed) - complete:
            self.purge(name)
        while len(self.objects) > KEPT_BACKUPS:
            oldest = min(self.objects)
            self.purge(oldest)
            del self.objects[oldest]

    def prove_writes(self) -> None:
        there = self.read("Live")
        lost = self.written - there.keys()
        assert not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}"
        if len(there) > 5000:
            self.drop("Live")
            self.post("/v1/schema", {"class": "Live", "vectorizer": "none"})
            self.written = set()

    def prove_restores(self, source: random.Random) -> None:
        """Restored classes are all there or none; one earlier backup, and the newest, restore object for object."""
        extra = self.classes() - {"Data", "Notes", "Live"}
        assert extra in (set(), {"RestoredData", "RestoredNotes"}), extra
        if extra:
            found = {name: self.read(f"Restored{name}") for name in ("Data", "Notes")}
            assert found in self.objects.values(), "restored classes must be those of one backup"
            self.drop(*extra)
        for name in {max(self.objects), source.choice(sorted(self.objects))}:
            self.restore(name, "Proof")
            for class_name, objects in self.objects[name].items():
                assert self.read(f"Proof{class_name}") == objects, f"{name}: {class_name} came back different"
                self.drop(f"Proof{class_name}")
