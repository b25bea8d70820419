"""The official `cohere` package drives the gateway: reranking, and its failures."""

import cohere

import testbed
from expect import equal, raises
from testbed import BACKEND_KEY, CLIENT_KEY, GATEWAY, case

MODEL = "rerank-sim"
QUERY = "the end of the river"
DOCUMENTS = ["a mountain", "the sea at the end of the river", "the river"]
client = cohere.ClientV2(api_key=CLIENT_KEY, base_url=f"{GATEWAY}/cohere", timeout=30)


def rerank(model=MODEL, script="", **options):
    options["request_options"] = {"max_retries": 0, "additional_headers": testbed.scripted(script) if script else {}}
    return client.rerank(model=model, query=QUERY, documents=DOCUMENTS, **options)


@case
def ranked():
    before = testbed.ledger_at_rest()
    answer = rerank(top_n=2)
    equal([result.index for result in answer.results], [1, 2], "the best documents")
    assert answer.results[0].relevance_score > answer.results[1].relevance_score, answer
    request = testbed.last_upstream_request()
    equal(request["path"], "/v2/rerank", "path")
    equal(request["headers"]["authorization"], f"Bearer {BACKEND_KEY}", "key")
    testbed.ledger_agrees(before, MODEL)


@case
def refused():
    """The package has an error for each status, and reads the message of the body."""
    for status, kind in ((400, cohere.BadRequestError), (429, cohere.TooManyRequestsError)):
        error = raises(kind, lambda: rerank(script=str(status)))
        assert "simulated" in str(error.body), error.body


@case
def unknown_model():
    error = raises(cohere.NotFoundError, lambda: rerank(model="nobody"))
    assert "nobody" in str(error.body), error.body


testbed.run_cases()
