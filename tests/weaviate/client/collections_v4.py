"""weaviate-client 4, unmodified: schema, objects, tenants, batches, queries. Run by `test_collections.py` in the client's environment."""

import json
import os
import urllib.request
from typing import Iterator
from uuid import UUID

import pytest
import weaviate
from weaviate.classes.config import Configure, DataType, Property, ReferenceProperty, VectorDistances
from weaviate.classes.data import DataObject, DataReference
from weaviate.classes.query import Filter, MetadataQuery, QueryReference, Sort
from weaviate.classes.tenants import Tenant, TenantActivityStatus
from weaviate.exceptions import UnexpectedStatusCodeError

PORT = int(os.environ["COLLECTIONS_PORT"])


@pytest.fixture(scope="module")
def client() -> Iterator[weaviate.WeaviateClient]:
    """Connected with all checks on. REST and gRPC share the port; the client takes that only from hosts of two names."""
    connection = weaviate.connect_to_custom(
        http_host="127.0.0.1", http_port=PORT, http_secure=False, grpc_host="localhost", grpc_port=PORT, grpc_secure=False
    )
    with connection:
        yield connection


@pytest.fixture(autouse=True)
def without_collections(client: weaviate.WeaviateClient) -> None:
    client.collections.delete_all()


def articles(client: weaviate.WeaviateClient, count: int = 3) -> weaviate.collections.Collection:
    """Articles 0 to count - 1, each with its number as a vector's direction."""
    collection = client.collections.create(
        "Article",
        vector_config=Configure.Vectors.self_provided(),
        properties=[
            Property(name="title", data_type=DataType.TEXT),
            Property(name="number", data_type=DataType.INT),
        ],
    )
    objects = [
        DataObject(properties={"title": f"article {n}", "number": n}, uuid=UUID(int=n + 1), vector=[float(n), 1.0, 0.5])
        for n in range(count)
    ]
    outcome = collection.data.insert_many(objects)
    assert not outcome.has_errors, outcome.errors
    return collection


def test_the_server_presents_itself(client: weaviate.WeaviateClient) -> None:
    assert client.is_live() and client.is_ready()
    assert client.get_meta()["version"] == "1.39.0"
    (node,) = client.cluster.nodes(output="verbose")
    assert node.status == "HEALTHY"


def test_a_configuration_comes_back_as_it_was_given(client: weaviate.WeaviateClient) -> None:
    client.collections.create("Target")
    client.collections.create(
        "Everything",
        description="all kinds of properties",
        properties=[
            Property(name="words", data_type=DataType.TEXT_ARRAY),
            Property(name="when", data_type=DataType.DATE),
            Property(name="place", data_type=DataType.GEO_COORDINATES),
            Property(name="deep", data_type=DataType.OBJECT, nested_properties=[Property(name="x", data_type=DataType.INT)]),
        ],
        references=[ReferenceProperty(name="to", target_collection="Target")],
        vector_config=[
            Configure.Vectors.self_provided(
                name="title", vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.DOT)
            ),
            Configure.Vectors.self_provided(name="body", vector_index_config=Configure.VectorIndex.flat()),
            Configure.MultiVectors.self_provided(name="colbert"),
        ],
        inverted_index_config=Configure.inverted_index(index_timestamps=True),
    )
    config = client.collections.get("Everything").config.get()
    assert config.description == "all kinds of properties"
    assert [(it.name, it.data_type) for it in config.properties] == [
        ("words", DataType.TEXT_ARRAY),
        ("when", DataType.DATE),
        ("place", DataType.GEO_COORDINATES),
        ("deep", DataType.OBJECT),
    ]
    assert config.references[0].target_collections == ["Target"]
    assert config.vector_config["title"].vector_index_config.distance_metric == VectorDistances.DOT
    assert config.vector_config["colbert"].vector_index_config.multi_vector is not None
    assert config.inverted_index_config.index_timestamps
    # Not from the client's own export: it loses the distance metric.
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/schema/Everything") as answer:
        exported = json.load(answer)
    client.collections.delete("Everything")
    client.collections.create_from_dict(exported)
    assert client.collections.get("Everything").config.get() == config


def test_a_schema_grows(client: weaviate.WeaviateClient) -> None:
    collection = articles(client)
    collection.config.add_property(Property(name="more", data_type=DataType.NUMBER))
    collection.config.update(description="changed")
    config = collection.config.get()
    assert config.description == "changed"
    assert [it.name for it in config.properties] == ["title", "number", "more"]
    assert client.collections.exists("Article") and not client.collections.exists("Nothing")
    assert list(client.collections.list_all()) == ["Article"]


def test_objects_are_written_read_changed_and_deleted(client: weaviate.WeaviateClient) -> None:
    collection = articles(client)
    made = collection.data.insert({"title": "new", "number": 99}, vector=[0.25, 0.5, 0.75])
    read = collection.query.fetch_object_by_id(made, include_vector=True)
    assert (read.properties, read.vector) == ({"title": "new", "number": 99}, {"default": [0.25, 0.5, 0.75]})
    collection.data.update(made, {"title": "updated"})
    assert collection.query.fetch_object_by_id(made).properties == {"title": "updated", "number": 99}
    collection.data.replace(made, {"title": "replaced"})
    assert collection.query.fetch_object_by_id(made).properties == {"title": "replaced", "number": None}
    assert collection.data.exists(made)
    assert collection.data.delete_by_id(made)
    assert collection.query.fetch_object_by_id(made) is None
    with pytest.raises(UnexpectedStatusCodeError, match="already exists"):
        collection.data.insert({"title": "twice"}, uuid=UUID(int=1))


def test_queries_filter_sort_and_search(client: weaviate.WeaviateClient) -> None:
    collection = articles(client, 10)
    large = collection.query.fetch_objects(filters=Filter.by_property("number").greater_than(6))
    assert sorted(it.properties["number"] for it in large.objects) == [7, 8, 9]
    sorted_by = collection.query.fetch_objects(sort=Sort.by_property("number", ascending=False), limit=2)
    assert [it.properties["number"] for it in sorted_by.objects] == [9, 8]
    near = collection.query.near_vector([4.0, 1.0, 0.5], limit=1, return_metadata=MetadataQuery(distance=True))
    assert near.objects[0].properties["number"] == 4
    assert near.objects[0].metadata.distance == pytest.approx(0, abs=1e-6)
    both = Filter.by_property("title").equal("article 3") | Filter.by_property("number").equal(5)
    found = collection.query.fetch_objects(filters=both)
    assert sorted(it.properties["number"] for it in found.objects) == [3, 5]


def test_an_iterator_sees_every_object_once(client: weaviate.WeaviateClient) -> None:
    collection = articles(client, 250)
    seen = [it for it in collection.iterator(include_vector=True)]
    assert [it.uuid.int for it in seen] == list(range(1, 251))
    assert seen[7].vector["default"] == [7.0, 1.0, 0.5]
    assert len(collection) == 250
    assert collection.aggregate.over_all(total_count=True).total_count == 250


def test_batches_write_objects_and_references(client: weaviate.WeaviateClient) -> None:
    collection = articles(client)
    paragraphs = client.collections.create("Paragraph", references=[ReferenceProperty(name="inArticle", target_collection="Article")])
    with client.batch.fixed_size(batch_size=50) as batch:
        for n in range(120):
            batch.add_object("Paragraph", {}, uuid=UUID(int=1000 + n))
        batch.add_reference(from_uuid=UUID(int=1000), from_collection="Paragraph", from_property="inArticle", to=UUID(int=1))
    assert not client.batch.failed_objects and not client.batch.failed_references
    assert len(paragraphs) == 120
    outcome = paragraphs.data.reference_add_many([DataReference(from_uuid=UUID(int=1001), from_property="inArticle", to_uuid=UUID(int=2))])
    assert not outcome.has_errors
    for number, title in ((1000, "article 0"), (1001, "article 1")):
        read = paragraphs.query.fetch_object_by_id(UUID(int=number), return_references=QueryReference(link_on="inArticle"))
        assert [it.properties["title"] for it in read.references["inArticle"].objects] == [title]
    deleted = collection.data.delete_many(where=Filter.by_property("number").less_than(2))
    assert (deleted.matches, deleted.successful) == (2, 2)
    assert len(collection) == 1


def test_named_and_multi_vectors_come_back(client: weaviate.WeaviateClient) -> None:
    collection = client.collections.create(
        "Named",
        vector_config=[Configure.Vectors.self_provided(name="single"), Configure.MultiVectors.self_provided(name="multi")],
    )
    vectors = {"single": [0.1, 1e-7], "multi": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}
    collection.data.insert({}, uuid=UUID(int=1), vector=vectors)
    outcome = collection.data.insert_many([DataObject(properties={}, uuid=UUID(int=2), vector=vectors)])
    assert not outcome.has_errors, outcome.errors
    for number in (1, 2):
        read = collection.query.fetch_object_by_id(UUID(int=number), include_vector=True)
        assert read.vector["multi"] == vectors["multi"]
        assert read.vector["single"] == pytest.approx(vectors["single"], rel=1e-7)
    near = collection.query.near_vector([0.1, 0.0], target_vector="single", limit=1)
    assert len(near.objects) == 1


def test_tenants_keep_objects_apart(client: weaviate.WeaviateClient) -> None:
    collection = client.collections.create("Tenanted", multi_tenancy_config=Configure.multi_tenancy(enabled=True))
    collection.tenants.create([Tenant(name="one"), Tenant(name="two")])
    collection.with_tenant("one").data.insert({"t": "x"}, uuid=UUID(int=1))
    assert len(collection.with_tenant("one")) == 1
    assert len(collection.with_tenant("two")) == 0
    collection.tenants.update(Tenant(name="two", activity_status=TenantActivityStatus.INACTIVE))
    statuses = {name: it.activity_status for name, it in collection.tenants.get().items()}
    assert statuses == {"one": TenantActivityStatus.ACTIVE, "two": TenantActivityStatus.INACTIVE}
    collection.tenants.remove(["one"])
    assert list(collection.tenants.get()) == ["two"]
    collection.config.update(multi_tenancy_config=weaviate.classes.config.Reconfigure.multi_tenancy(auto_tenant_creation=True))
    collection.with_tenant("made").data.insert({"t": "y"})
    assert sorted(collection.tenants.get()) == ["made", "two"]


def test_aliases_stand_for_collections(client: weaviate.WeaviateClient) -> None:
    articles(client)
    client.alias.create(alias_name="Latest", target_collection="Article")
    assert len(client.collections.get("Latest")) == 3
    assert client.alias.get(alias_name="Latest").collection == "Article"
    assert client.alias.delete(alias_name="Latest")
    assert client.alias.list_all() == {}
