"""What a backup holds is what was there, to the last bit: ids, times, vectors of all kinds, all data types, references, tenants."""

import random

import pytest

from harness.server import Server
from harness.weaviate import Weaviate, identity, single

SEED = 4
DATA_TYPES = {
    "text": "Grüße, \"quoted\" \n 漢字", "int": -42, "number": 0.1, "boolean": True, "date": "2024-02-29T12:34:56.789012345+05:30",
    "uuid": "0e36b1a4-6bd7-4d5e-a7f3-7d1a4e2d3c4b", "blob": "AAECAwQF/w==",
    "geoCoordinates": {"latitude": 52.366665, "longitude": 4.9}, "phoneNumber": {"input": "020 1234567", "defaultCountry": "nl"},
    "text[]": ["a", "", "a"], "int[]": [3, 1, 2], "number[]": [1.5, -2.25e-300], "boolean[]": [False, True],
    "date[]": ["2024-01-01T00:00:00Z"], "uuid[]": ["0e36b1a4-6bd7-4d5e-a7f3-7d1a4e2d3c4b"],
}


@pytest.fixture(scope="module")
def weaviate(server: Server) -> Weaviate:
    return Weaviate(server)


def vector(source: random.Random, dims: int) -> list[float]:
    extremes = [0.0, -0.0, 1e-45, 3.4028234663852886e38, single(16777217.0)]
    return [single(source.uniform(-1, 1)) for _ in range(dims - len(extremes))] + extremes


def names_of(data_type: str) -> str:
    return "p_" + data_type.replace("[]", "s")


def lose_and_restore(weaviate: Weaviate, name: str, classes: list[str], tenants: dict[str, list[str]] | None = None) -> None:
    """Backs up, drops and restores classes; everything must read the same afterwards."""

    def state() -> dict:
        schema = {cls: weaviate.http.get(f"/v1/schema/{cls}").ok() for cls in classes}
        objects = {(cls, tenant): weaviate.read_all(cls, tenant) for cls in classes for tenant in (tenants or {}).get(cls, [None])}
        return {"schema": schema, "objects": objects}

    before = state()
    weaviate.back_up(name, include=classes)
    for cls in classes:
        weaviate.http.delete(f"/v1/schema/{cls}").ok()
    weaviate.restore(name)
    after = state()
    assert after["schema"] == before["schema"]
    for place, objects in before["objects"].items():
        assert objects, f"{place} is empty"
        assert after["objects"][place] == objects, place


def test_all_data_types(weaviate: Weaviate) -> None:
    properties = [{"name": names_of(data_type), "dataType": [data_type]} for data_type in DATA_TYPES]
    nested = [{"name": "a", "dataType": ["text"]}, {"name": "b", "dataType": ["number[]"]}]
    properties += [{"name": "object", "dataType": ["object"], "nestedProperties": nested}, {"name": "objects", "dataType": ["object[]"], "nestedProperties": nested}]
    weaviate.create_class("AllTypes", properties=properties)
    full = {names_of(data_type): value for data_type, value in DATA_TYPES.items()}
    full |= {"object": {"a": "x", "b": [1, 2.5]}, "objects": [{"a": "y"}, {"b": [0.5]}]}
    source = random.Random(SEED)
    weaviate.write([
        {"class": "AllTypes", "id": identity(0), "properties": full, "vector": vector(source, 12)},
        {"class": "AllTypes", "id": identity(1), "properties": {}, "vector": vector(source, 12)},
        {"class": "AllTypes", "id": "ffffffff-ffff-ffff-ffff-ffffffffffff", "properties": {"p_text": "no vector"}},
    ])
    lose_and_restore(weaviate, "types", ["AllTypes"])


def test_named_and_multi_vectors(weaviate: Weaviate) -> None:
    plain = {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}
    multi = plain | {"vectorIndexConfig": {"multivector": {"enabled": True}}}
    weaviate.create_class("Named", properties=[{"name": "title", "dataType": ["text"]}], vectorConfig={"title": plain, "body": plain, "colbert": multi})
    source = random.Random(SEED)
    weaviate.write(
        {
            "class": "Named", "id": identity(number), "properties": {"title": f"t{number}"},
            "vectors": {"title": vector(source, 8), "body": vector(source, 16)} | ({"colbert": [vector(source, 6) for _ in range(number)]} if number else {}),
        }
        for number in range(5)
    )
    lose_and_restore(weaviate, "named", ["Named"])


def test_references_in_a_circle(weaviate: Weaviate) -> None:
    weaviate.create_class("Author", properties=[{"name": "name", "dataType": ["text"]}])
    weaviate.create_class("Paper", properties=[{"name": "by", "dataType": ["Author"]}])
    weaviate.http.post("/v1/schema/Author/properties", {"name": "wrote", "dataType": ["Paper"]}).ok()
    weaviate.write({"class": "Author", "id": identity(number), "properties": {"name": f"a{number}"}} for number in range(3))
    weaviate.write(
        {"class": "Paper", "id": identity(10 + number), "properties": {"by": [{"beacon": f"weaviate://localhost/Author/{identity(number)}"}]}} for number in range(3)
    )
    weaviate.http.post(f"/v1/objects/Author/{identity(0)}/references/wrote", {"beacon": f"weaviate://localhost/Paper/{identity(10)}"}).ok()
    lose_and_restore(weaviate, "references", ["Author", "Paper"])


def test_tenants_keep_their_status(weaviate: Weaviate) -> None:
    weaviate.create_class("Tenanted", properties=[{"name": "n", "dataType": ["int"]}], multiTenancyConfig={"enabled": True})
    weaviate.http.post("/v1/schema/Tenanted/tenants", [{"name": "alice"}, {"name": "bob"}, {"name": "cold"}]).ok()
    weaviate.write(
        {"class": "Tenanted", "id": identity(number), "tenant": tenant, "properties": {"n": number}}
        for tenant in ("alice", "bob", "cold") for number in range(4)
    )
    weaviate.http.put("/v1/schema/Tenanted/tenants", [{"name": "cold", "activityStatus": "COLD"}]).ok()
    tenants = weaviate.http.get("/v1/schema/Tenanted/tenants").ok()
    lose_and_restore(weaviate, "tenants", ["Tenanted"], {"Tenanted": ["alice", "bob"]})
    by_name = lambda tenant: tenant["name"]  # noqa: E731
    assert sorted(weaviate.http.get("/v1/schema/Tenanted/tenants").ok(), key=by_name) == sorted(tenants, key=by_name)
    weaviate.http.put("/v1/schema/Tenanted/tenants", [{"name": "cold", "activityStatus": "HOT"}]).ok()
    assert len(weaviate.read_all("Tenanted", "cold")) == 4
    # One tenant alone, into a class of another name.
    weaviate.restore("tenants", config={"tenants": ["bob"], "rename": {"Tenanted": "OnlyBob"}})
    assert [tenant["name"] for tenant in weaviate.http.get("/v1/schema/OnlyBob/tenants").ok()] == ["bob"]
    assert len(weaviate.read_all("OnlyBob", "bob")) == 4


def test_aliases_come_back(weaviate: Weaviate) -> None:
    weaviate.create_class("Aliased")
    weaviate.write([{"class": "Aliased", "id": identity(0), "properties": {}}])
    weaviate.http.post("/v1/aliases", {"alias": "Nick", "class": "Aliased"}).ok()
    weaviate.back_up("aliases", include=["Aliased"])
    weaviate.http.delete("/v1/schema/Aliased").ok()
    weaviate.restore("aliases")
    assert weaviate.http.get("/v1/aliases/Nick").ok() == {"alias": "Nick", "class": "Aliased"}
