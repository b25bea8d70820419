"""The official `openai` package drives the gateway: what the client sees when something goes wrong.

What the upstream sees is bounded too. The gateway asks a single backend a second time after a 5xx or a broken connection,
never after a 429, so that one attempt of the client is at most two upstream.
"""

import openai

import testbed
from testbed import CLIENT_KEY, GATEWAY, Stopwatch, case, equal, eventually, on_models, raises, scripted, stats

NATIVE, TRANSLATED = "gpt-sim", "claude-sim"
QUESTION = [{"role": "user", "content": "What is at the end of the river?"}]
# The package's own number of retries, and none.
retrying = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{GATEWAY}/v1", timeout=30)
client = retrying.with_options(max_retries=0)
ATTEMPTS = 3


def ask(model, through=client, script="", **options):
    headers = scripted(script) if script else {}
    return through.chat.completions.create(model=model, messages=QUESTION, extra_headers=headers, **options)


def attempts(error):
    """How often the package tried before it gave up: it numbers its attempts from 0."""
    return 1 + int(error.response.request.headers["x-stainless-retry-count"])


def seen(upstream_attempts):
    """Which of the client's attempts each request upstream belongs to."""
    return [int(one["headers"]["x-stainless-retry-count"]) for one in upstream_attempts]


@case
def unknown_model():
    error = raises(openai.NotFoundError, lambda: ask("gpt-unknown", retrying))
    equal((error.code, error.param), ("model_not_found", "model"), "code and param")
    assert "gpt-unknown" in error.message, error.message
    assert error.request_id.startswith("req_"), f"request id: {error.request_id!r}"
    equal(attempts(error), 1, "attempts")
    equal(stats()["requests"], 0, "requests upstream")


@on_models(NATIVE, TRANSLATED)
def bad_request(model):
    """The provider's own words arrive, in the client's dialect."""
    error = raises(openai.BadRequestError, lambda: ask(model, retrying, "400"))
    assert "simulated failure" in error.message, error.message
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@case
def malformed_request():
    """What the gateway can't read it refuses itself."""
    error = raises(openai.BadRequestError, lambda: client.post("/chat/completions", body={"messages": []}, cast_to=object))
    equal(error.param, "model", "param")
    error = raises(openai.UnprocessableEntityError, lambda: client.embeddings.create(model=TRANSLATED, input="text"))
    assert error.request_id, "no request id"
    equal(stats()["requests"], 0, "requests upstream")


@on_models("gpt-badkey", "claude-badkey")
def refused_by_the_provider(model):
    error = raises(openai.AuthenticationError, lambda: ask(model, retrying))
    equal(error.status_code, 401, "status")
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@on_models(NATIVE, TRANSLATED)
def too_many_requests(model):
    """429 without a word about when: the client backs off by itself, the gateway adds no attempt of its own."""
    with Stopwatch() as took:
        error = raises(openai.RateLimitError, lambda: ask(model, retrying, "429"))
    equal((attempts(error), stats()["requests"]), (ATTEMPTS, ATTEMPTS), "attempts here and upstream")
    assert took.s > 0.7, f"no back-off: {took.s:.2f} s"


@on_models(NATIVE, TRANSLATED)
def retry_after(model):
    """429 with Retry-After, then success: the client waits as told."""
    testbed.reset("429:retry-after=1,ok")
    with Stopwatch() as took:
        assert ask(model, retrying).choices[0].message.content, "no text"
    first, second = testbed.upstream_requests()
    equal(seen([first, second]), [0, 1], "the client's attempts")
    assert took.s >= 1 and second["at_ms"] - first["at_ms"] >= 990, f"waited {second['at_ms'] - first['at_ms']} ms, not 1 s"


@case
def retry_after_in_milliseconds():
    testbed.reset("429:retry-after-ms=1500,ok")
    assert ask(NATIVE, retrying).choices[0].message.content, "no text"
    first, second = testbed.upstream_requests()
    assert second["at_ms"] - first["at_ms"] >= 1490, f"waited {second['at_ms'] - first['at_ms']} ms, not 1.5 s"


@case
def long_retry_after():
    """Above two minutes the client gives up at once rather than to sleep."""
    error = raises(openai.RateLimitError, lambda: ask(NATIVE, retrying, "429:retry-after=200"))
    equal((attempts(error), error.response.headers["retry-after"]), (1, "200"), "attempts and the header")


@on_models(NATIVE, TRANSLATED)
def unavailable(model):
    """503 for good: the client's three attempts, each at most two upstream."""
    error = raises(openai.InternalServerError, lambda: ask(model, retrying, "503"))
    equal((error.status_code, attempts(error)), (503, ATTEMPTS), "status and attempts")
    assert ATTEMPTS <= stats()["requests"] <= 2 * ATTEMPTS, stats()


@on_models(NATIVE, TRANSLATED)
def unavailable_for_a_moment(model):
    """One 503 the gateway hides; two it can't, and the client's retry succeeds."""
    testbed.reset("503,ok")
    assert ask(model).choices[0].message.content, "no text"
    equal(stats()["requests"], 2, "requests upstream")
    testbed.reset("503*2,ok")
    assert ask(model, retrying).choices[0].message.content, "no text"
    equal(seen(testbed.upstream_requests()), [0, 0, 1], "the client's attempts")


@on_models(NATIVE, TRANSLATED)
def overloaded(model):
    error = raises(openai.InternalServerError, lambda: ask(model, retrying, "529"))
    equal((error.status_code, attempts(error)), (529, ATTEMPTS), "status and attempts")


@case
def no_backend():
    """A 500 that no retry can mend says so, and the client obeys."""
    error = raises(openai.InternalServerError, lambda: ask("gpt-nobackend", retrying))
    equal((attempts(error), error.response.headers["x-should-retry"]), (1, "false"), "attempts and the header")


@case
def a_provider_that_demands_retries():
    """`x-should-retry: true` on a 400 would make the client repeat it: it does not pass."""
    error = raises(openai.BadRequestError, lambda: ask(NATIVE, retrying, "400:x-should-retry=true"))
    equal((attempts(error), stats()["requests"]), (1, 1), "attempts here and upstream")


@case
def unreachable():
    error = raises(openai.InternalServerError, lambda: ask("gpt-unreachable"))
    equal(error.status_code, 502, "status")
    assert "127.0.0.1" not in str(error), f"the backend's address is told to a client: {error}"


@case
def failover():
    """The next backend answers, and the client notices nothing."""
    assert ask("gpt-failover").choices[0].message.content, "no text"
    assert list(ask("gpt-failover", stream=True)), "no stream"


@on_models(NATIVE, TRANSLATED)
def client_timeout(model):
    """The client gives up; the upstream is told."""
    error = raises(openai.APITimeoutError, lambda: ask(model, client.with_options(timeout=0.5), "hang"))
    assert error, "an exception"
    eventually(lambda: stats()["cancelled"] == 1, lambda: f"the upstream call is not cancelled: {stats()}")
    equal(stats()["requests"], 1, "requests upstream")


@on_models("gpt-hurried", "claude-hurried")
def rule_timeout(model):
    """The rule's time is up: 504, in the client's dialect, and the upstream call is cancelled."""
    with Stopwatch() as took:
        error = raises(openai.InternalServerError, lambda: ask(model, script="hang"))
    equal(error.status_code, 504, "status")
    assert 0.9 < took.s < 5, f"after {took.s:.2f} s instead of 1"
    eventually(lambda: stats()["cancelled"] == stats()["requests"], lambda: f"not cancelled: {stats()}")


@on_models(NATIVE, TRANSLATED)
def drop_before_headers(model):
    """The connection is closed without an answer: a 502, which the client retries."""
    error = raises(openai.InternalServerError, lambda: ask(model, retrying, "drop"))
    equal((error.status_code, attempts(error)), (502, ATTEMPTS), "status and attempts")
    assert ATTEMPTS <= stats()["requests"] <= 2 * ATTEMPTS, stats()
    testbed.reset("drop,ok")
    assert ask(model).choices[0].message.content, "one drop is not hidden"


@on_models(NATIVE, TRANSLATED)
def cut_answer(model):
    """An unstreamed answer that breaks off is never half an answer."""
    for script in ("reset@1", "cut@1"):
        raises(openai.OpenAIError, lambda: ask(model, script=script))
    # Half a JSON text that was announced as whole: untouched it is for the client to see.
    raises((openai.OpenAIError, ValueError), lambda: ask(model, script="garbage@1"))


def broken_stream(model, script, through=client, kinds=openai.OpenAIError):
    """Reads a stream that breaks, and gives back its text and the exception of one of `kinds`."""
    text = ""
    try:
        for chunk in ask(model, through, script, stream=True):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    except kinds as error:
        return text, error
    raise AssertionError(f"{model} {script}: a broken stream ended tidily after {text!r}")


@on_models(NATIVE, TRANSLATED)
def reset_mid_stream(model):
    text, error = broken_stream(model, "reset@5", retrying)
    equal(testbed.tokens(text), 5, f"tokens before the reset ({error})")
    equal(stats()["requests"], 1, "a stream that has begun is not repeated")


@on_models(NATIVE, TRANSLATED)
def clean_early_end(model):
    """Without the gateway the package takes this for success."""
    text, error = broken_stream(model, "cut@5")
    equal(testbed.tokens(text), 5, f"tokens before the end ({error})")


@on_models(NATIVE, TRANSLATED)
def error_event(model):
    text, error = broken_stream(model, "error@5")
    equal(testbed.tokens(text), 5, "tokens before the error")
    assert isinstance(error, openai.APIError), repr(error)


@on_models(NATIVE, TRANSLATED)
def garbage_event(model):
    """An event that is no JSON: untouched it makes the package raise JSONDecodeError, translated it is an error event."""
    text, error = broken_stream(model, "garbage@5", kinds=(openai.OpenAIError, ValueError))
    assert testbed.tokens(text) <= 5, f"read on after garbage: {text!r} {error!r}"


@on_models("gpt-impatient", "claude-impatient")
def silence_mid_stream(model):
    """The rule allows a second of silence."""
    with Stopwatch() as took:
        text, error = broken_stream(model, "stall@5")
    equal(testbed.tokens(text), 5, f"tokens before the silence ({error})")
    assert 0.9 < took.s < 5, f"after {took.s:.2f} s instead of 1"
    eventually(lambda: stats()["open_streams"] == 0, lambda: f"the upstream call is not cancelled: {stats()}")


@case
def broken_responses():
    """A broken Responses stream ends in an `error` event or an exception, never in `response.completed`."""
    for script in ("reset@5", "cut@5", "error@5"):
        kinds = []
        try:
            for event in client.responses.create(
                model=NATIVE, input="Hello", stream=True, extra_headers=scripted(script)
            ):
                kinds.append(event.type)
        except openai.OpenAIError:
            continue
        equal(kinds[-1], "error", f"{script}: last event of {kinds}")


@on_models(NATIVE, TRANSLATED)
def client_that_leaves(model):
    """The upstream hears of it at once, and what had passed is booked as an estimate."""
    before = testbed.ledger_at_rest()
    stream = ask(model, script="slow=20ms,tokens=400", stream=True)
    text = ""
    for chunk in stream:
        text += chunk.choices[0].delta.content or ""
        if testbed.tokens(text) == 6:
            break
    stream.close()
    testbed.cancelled_and_booked(before, model, testbed.tokens(text))
