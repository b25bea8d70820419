"""The official `anthropic` package drives the gateway: what the client sees when something goes wrong.

What the upstream sees is bounded too. The gateway asks a single backend a second time after a 5xx or a broken connection,
never after a 429, so that one attempt of the client is at most two upstream.
"""

import anthropic

import testbed
from testbed import CLIENT_KEY, GATEWAY, Stopwatch, case, equal, eventually, on_models, raises, scripted, stats, tokens

NATIVE, TRANSLATED = "claude-sim", "gpt-sim"
QUESTION = [{"role": "user", "content": "What is at the end of the river?"}]
# The package's own number of retries, and none.
retrying = anthropic.Anthropic(api_key=CLIENT_KEY, base_url=GATEWAY, timeout=30)
client = retrying.with_options(max_retries=0)
ATTEMPTS = 3


def ask(model, through=client, script="", **options):
    headers = scripted(script) if script else {}
    options = {"max_tokens": 100, **options}
    return through.messages.create(model=model, messages=QUESTION, extra_headers=headers, **options)


def attempts(error):
    """How often the package tried before it gave up: it numbers its attempts from 0."""
    return 1 + int(error.response.request.headers["x-stainless-retry-count"])


def seen(upstream_attempts):
    """Which of the client's attempts each request upstream belongs to."""
    return [int(one["headers"]["x-stainless-retry-count"]) for one in upstream_attempts]


def told(error):
    """The error's type, as the body names it."""
    equal(error.body["type"], "error", "type of the body")
    return error.body["error"]["type"]


@case
def unknown_model():
    error = raises(anthropic.NotFoundError, lambda: ask("claude-unknown", retrying))
    equal(told(error), "not_found_error", "type")
    assert "claude-unknown" in error.message, error.message
    assert error.request_id.startswith("req_"), f"request id: {error.request_id!r}"
    equal((attempts(error), stats()["requests"]), (1, 0), "attempts here and upstream")


@on_models(NATIVE, TRANSLATED)
def bad_request(model):
    """The provider's own words arrive, in the client's dialect."""
    error = raises(anthropic.BadRequestError, lambda: ask(model, retrying, "400"))
    equal(told(error), "invalid_request_error", "type")
    assert "simulated failure" in error.message, error.message
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@case
def malformed_request():
    """What the gateway can't read it refuses itself."""
    raises(anthropic.BadRequestError, lambda: client.post("/v1/messages", body={"messages": []}, cast_to=object))
    equal(stats()["requests"], 0, "requests upstream")


@on_models("claude-badkey", "gpt-badkey")
def refused_by_the_provider(model):
    error = raises(anthropic.AuthenticationError, lambda: ask(model, retrying))
    equal((error.status_code, told(error)), (401, "authentication_error"), "status and type")
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@on_models(NATIVE, TRANSLATED)
def too_many_requests(model):
    """429 without a word about when: the client backs off by itself, the gateway adds no attempt of its own."""
    with Stopwatch() as took:
        error = raises(anthropic.RateLimitError, lambda: ask(model, retrying, "429"))
    equal(told(error), "rate_limit_error", "type")
    equal((attempts(error), stats()["requests"]), (ATTEMPTS, ATTEMPTS), "attempts here and upstream")
    assert took.s > 0.7, f"no back-off: {took.s:.2f} s"


@on_models(NATIVE, TRANSLATED)
def retry_after(model):
    """429 with Retry-After, then success: the client waits as told."""
    testbed.reset("429:retry-after=2,ok")
    with Stopwatch() as took:
        assert ask(model, retrying).content[0].text, "no text"
    first, second = testbed.upstream_requests()
    equal(seen([first, second]), [0, 1], "the client's attempts")
    waited_ms = second["at_ms"] - first["at_ms"]
    assert took.s >= 2 and waited_ms >= 1990, f"waited {waited_ms} ms, not 2 s"


@case
def retry_after_in_milliseconds():
    testbed.reset("429:retry-after-ms=1500,ok")
    assert ask(NATIVE, retrying).content[0].text, "no text"
    first, second = testbed.upstream_requests()
    assert second["at_ms"] - first["at_ms"] >= 1490, f"waited {second['at_ms'] - first['at_ms']} ms, not 1.5 s"


@on_models(NATIVE, TRANSLATED)
def unavailable(model):
    """503 for good: the client's three attempts, each at most two upstream."""
    error = raises(anthropic.InternalServerError, lambda: ask(model, retrying, "503"))
    equal((error.status_code, attempts(error)), (503, ATTEMPTS), "status and attempts")
    assert ATTEMPTS <= stats()["requests"] <= 2 * ATTEMPTS, stats()


@on_models(NATIVE, TRANSLATED)
def overloaded_for_a_moment(model):
    """One 529 the gateway hides; two it can't, and the client's retry succeeds."""
    testbed.reset("529,ok")
    assert ask(model).content[0].text, "no text"
    equal(stats()["requests"], 2, "requests upstream")
    testbed.reset("529*2,ok")
    assert ask(model, retrying).content[0].text, "no text"
    equal(seen(testbed.upstream_requests()), [0, 0, 1], "the client's attempts")


@on_models(NATIVE, TRANSLATED)
def overloaded(model):
    """529 is Anthropic's own status; the client retries it like any 5xx."""
    error = raises(anthropic.APIStatusError, lambda: ask(model, retrying, "529"))
    equal((error.status_code, told(error)), (529, "overloaded_error"), "status and type")
    equal(attempts(error), ATTEMPTS, "attempts")


@case
def conflict():
    """409 is retried by the client, not by the gateway."""
    error = raises(anthropic.ConflictError, lambda: ask(NATIVE, retrying, "409"))
    equal((attempts(error), stats()["requests"]), (ATTEMPTS, ATTEMPTS), "attempts here and upstream")


@case
def no_backend():
    """A 500 that no retry can mend says so, and the client obeys."""
    error = raises(anthropic.InternalServerError, lambda: ask("gpt-nobackend", retrying))
    equal((attempts(error), error.response.headers["x-should-retry"]), (1, "false"), "attempts and the header")


@case
def a_provider_that_demands_retries():
    """`x-should-retry: true` on a 400 would make the client repeat it: it does not pass."""
    error = raises(anthropic.BadRequestError, lambda: ask(NATIVE, retrying, "400:x-should-retry=true"))
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@case
def failover():
    """The next backend answers, and the client notices nothing, though it speaks another dialect."""
    assert ask("gpt-failover").content[0].text, "no text"
    assert list(ask("gpt-failover", stream=True)), "no stream"


@on_models(NATIVE, TRANSLATED)
def client_timeout(model):
    """The client gives up; the upstream is told."""
    raises(anthropic.APITimeoutError, lambda: ask(model, client.with_options(timeout=0.5), "hang"))
    eventually(lambda: stats()["cancelled"] == 1, lambda: f"the upstream call is not cancelled: {stats()}")
    equal(stats()["requests"], 1, "requests upstream")


@on_models("claude-hurried", "gpt-hurried")
def rule_timeout(model):
    """The rule's time is up: 504, in the client's dialect, and the upstream call is cancelled."""
    with Stopwatch() as took:
        error = raises(anthropic.APIStatusError, lambda: ask(model, script="hang"))
    equal((error.status_code, told(error)), (504, "timeout_error"), "status and type")
    assert 0.9 < took.s < 5, f"after {took.s:.2f} s instead of 1"
    eventually(lambda: stats()["cancelled"] == stats()["requests"], lambda: f"not cancelled: {stats()}")


@on_models(NATIVE, TRANSLATED)
def drop_before_headers(model):
    """The connection is closed without an answer: a 502, which the client retries."""
    error = raises(anthropic.InternalServerError, lambda: ask(model, retrying, "drop"))
    equal((error.status_code, attempts(error)), (502, ATTEMPTS), "status and attempts")
    assert ATTEMPTS <= stats()["requests"] <= 2 * ATTEMPTS, stats()
    testbed.reset("drop,ok")
    assert ask(model).content[0].text, "one drop is not hidden"


@on_models(NATIVE, TRANSLATED)
def cut_answer(model):
    """An unstreamed answer that breaks off is never half an answer."""
    for script in ("reset@1", "cut@1"):
        raises(anthropic.AnthropicError, lambda: ask(model, script=script))
    # Half a JSON text that was announced as whole: untouched it is for the client to see.
    raises((anthropic.AnthropicError, ValueError), lambda: ask(model, script="garbage@1"))


def broken_stream(model, script, through=client):
    """Reads a stream that breaks, and gives back its text and the exception."""
    text = ""
    try:
        for event in ask(model, through, script, stream=True):
            if event.type == "content_block_delta":
                text += event.delta.text
    except anthropic.AnthropicError as error:
        return text, error
    raise AssertionError(f"{model} {script}: a broken stream ended tidily after {text!r}")


@on_models(NATIVE, TRANSLATED)
def reset_mid_stream(model):
    text, error = broken_stream(model, "reset@5", retrying)
    equal(tokens(text), 5, f"tokens before the reset ({error})")
    equal(stats()["requests"], 1, "a stream that has begun is not repeated")


@on_models(NATIVE, TRANSLATED)
def clean_early_end(model):
    """Without the gateway the package takes this for success and keeps half the usage."""
    text, error = broken_stream(model, "cut@5")
    equal(tokens(text), 5, f"tokens before the end ({error})")


@on_models(NATIVE, TRANSLATED)
def clean_early_end_in_the_helper(model):
    """The same through the package's stream helper."""

    def whole():
        with client.messages.stream(
            model=model, messages=QUESTION, max_tokens=100, extra_headers=scripted("cut@5")
        ) as stream:
            return stream.get_final_message()

    raises(anthropic.AnthropicError, whole)


@on_models(NATIVE, TRANSLATED)
def error_event(model):
    text, error = broken_stream(model, "error@5")
    equal(tokens(text), 5, "tokens before the error")
    assert isinstance(error, anthropic.APIStatusError), repr(error)
    assert told(error), "an error type"


@case
def garbage_event():
    """An event that is no JSON can't be translated. (Untouched the package passes it over, since it has no name.)"""
    text, error = broken_stream(TRANSLATED, "garbage@5")
    assert tokens(text) <= 5, f"read on after garbage: {text!r} {error!r}"


@on_models("claude-impatient", "gpt-impatient")
def silence_mid_stream(model):
    """The rule allows a second of silence."""
    with Stopwatch() as took:
        text, error = broken_stream(model, "stall@5")
    equal(tokens(text), 5, f"tokens before the silence ({error})")
    assert 0.9 < took.s < 5, f"after {took.s:.2f} s instead of 1"
    eventually(lambda: stats()["open_streams"] == 0, lambda: f"the upstream call is not cancelled: {stats()}")


@on_models(NATIVE, TRANSLATED)
def client_that_leaves(model):
    """The upstream hears of it at once, and what had passed is booked as an estimate."""
    before = testbed.ledger_at_rest()
    stream = ask(model, script="slow=20ms,tokens=400", stream=True, max_tokens=1000)
    text = ""
    for event in stream:
        if event.type == "content_block_delta":
            text += event.delta.text
        if tokens(text) == 6:
            break
    stream.close()
    testbed.cancelled_and_booked(before, model, tokens(text))
