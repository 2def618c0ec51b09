"""One test a request: Snapkeep in its `opensearch` shape answers as OpenSearch does, but for the table of differences."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.http import Response
from harness.peer import PeerUnavailable, prepare

from conformance.differences import Row, compare, load_table
from conformance.normalise import normalise
from conformance.record import record_opensearch, record_snapkeep
from conformance.requests import Request, load

REQUESTS = load()
RECORDING_LIMIT_SECONDS = 400


@pytest.fixture(scope="module")
def answers() -> tuple[dict[str, Response], dict[str, Response]]:
    """Both servers' answers to all requests: theirs, ours."""
    try:
        prepare()
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
    with ThreadPoolExecutor() as both:
        theirs, ours = both.submit(record_opensearch), both.submit(record_snapkeep)
        return theirs.result(), ours.result()


@pytest.fixture(scope="module")
def used() -> set[Row]:
    """The rows of the table that covered a difference."""
    return set()


@pytest.fixture(scope="module")
def table() -> list[Row]:
    return load_table()


@pytest.mark.timeout(RECORDING_LIMIT_SECONDS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.id)
def test_answer(request_: Request, answers: tuple, used: set[Row], table: list[Row]) -> None:
    theirs, ours = (normalise(request_, side[request_.id]) for side in answers)
    not_meant = []
    for difference in compare(theirs, ours):
        rows = [row for row in table if row.covers(request_.id, difference)]
        used.update(rows)
        if not rows:
            not_meant.append(str(difference))
    assert not not_meant, f"{request_.method} {request_.path[:200]}\n" + "\n".join(not_meant)


def test_every_listed_difference_still_differs(answers: tuple, used: set[Row], table: list[Row], request: pytest.FixtureRequest) -> None:
    if len(request.session.items) <= len(REQUESTS):
        pytest.skip("needs all requests of the suite")
    stale = [str(row) for row in table if row not in used]
    assert not stale, "rows of the table that no answer needs any more:\n" + "\n".join(stale)
