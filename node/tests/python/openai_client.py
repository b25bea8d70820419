"""The official `openai` package drives the gateway: everyday use. Failures are in openai_failures.py.

`gpt-sim` is served by a backend of the client's own dialect, `claude-sim` by one that speaks Anthropic's.
"""

import asyncio
import json

import httpx
import openai
import pydantic
from openai.types.chat import ChatCompletion

import openai_failures  # noqa: F401 (its cases are run with those of this file)
import strict
import testbed
from testbed import BACKEND_KEY, CLIENT_KEY, GATEWAY, PNG_BASE64, Replayed, case, equal, on_models

NATIVE, TRANSLATED = "gpt-sim", "claude-sim"
QUESTION = [{"role": "user", "content": "What is at the end of the river?"}]
client = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{GATEWAY}/v1", max_retries=0, timeout=30)

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of the coming days",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city", "days"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


def ask(model, messages=None, **options):
    return client.chat.completions.create(model=model, messages=messages or QUESTION, **options)


def usage_agrees(usage, replayed):
    """The client's usage is the provider's, whatever dialect that counted in."""
    theirs = replayed.usage
    if "prompt_tokens" in theirs:
        expected = (theirs["prompt_tokens"], theirs["completion_tokens"])
    else:
        cached = theirs["cache_read_input_tokens"] + theirs["cache_creation_input_tokens"]
        expected = (theirs["input_tokens"] + cached, theirs["output_tokens"])
    equal((usage.prompt_tokens, usage.completion_tokens), expected, "usage")
    equal(usage.total_tokens, sum(expected), "total tokens")


@on_models(NATIVE, TRANSLATED)
def chat(model):
    completion = ask(model)
    choice = completion.choices[0]
    equal(completion.object, "chat.completion", "object")
    equal(choice.message.role, "assistant", "role")
    equal(choice.finish_reason, "stop", "finish reason")
    replayed = Replayed()
    assert choice.message.content, "no text"
    equal(choice.message.content, replayed.text, "text")
    usage_agrees(completion.usage, replayed)
    equal(completion.usage.completion_tokens, testbed.tokens(choice.message.content), "tokens of the text")
    assert completion._request_id.startswith("req_"), f"request id: {completion._request_id!r}"


@on_models(NATIVE, TRANSLATED)
def stream(model):
    """Deltas joined are the answer; no usage is shown that was not asked for, though the gateway needs it itself."""
    chunks = list(ask(model, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    equal(text, Replayed().text, "text")
    assert len(chunks) > 10, f"only {len(chunks)} chunks: collected instead of streamed?"
    equal(chunks[-1].choices[0].finish_reason, "stop", "finish reason")
    equal([c.choices[0].finish_reason for c in chunks[:-1]], [None] * (len(chunks) - 1), "earlier finish reasons")
    equal([c for c in chunks if c.usage is not None], [], "chunks with usage")
    equal({c.id for c in chunks}, {chunks[0].id}, "ids of the chunks")


@on_models(NATIVE, TRANSLATED)
def stream_with_usage(model):
    chunks = list(ask(model, stream=True, stream_options={"include_usage": True}))
    equal(chunks[-1].choices, [], "choices of the last chunk")
    replayed = Replayed()
    usage_agrees(chunks[-1].usage, replayed)
    equal([c.usage for c in chunks[:-1]], [None] * (len(chunks) - 1), "usage of the other chunks")
    equal("".join(c.choices[0].delta.content or "" for c in chunks[:-1]), replayed.text, "text")


@on_models(NATIVE, TRANSLATED)
def stream_in_pieces(model):
    """Comments, CR LF and events cut anywhere on the wire change nothing."""
    chunks = list(ask(model, stream=True, extra_headers=testbed.scripted("bytes=7,comments,crlf")))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    equal(text, Replayed().text, "text")


@on_models(NATIVE, TRANSLATED)
def output_cap(model):
    """The finish reason tells that the answer is not whole."""
    completion = ask(model, max_completion_tokens=3)
    equal(completion.choices[0].finish_reason, "length", "finish reason")
    equal(completion.usage.completion_tokens, 3, "output tokens")


@on_models(NATIVE, TRANSLATED)
def system(model):
    """System and developer messages reach the provider where it looks for them."""
    messages = [{"role": "system", "content": "Answer like a sailor."}, {"role": "developer", "content": "Be brief."}]
    ask(model, messages + QUESTION)
    body = testbed.last_upstream_request()["json"]
    if model == NATIVE:
        equal(body["messages"], messages + QUESTION, "messages")
    else:
        told = json.dumps(body["system"])
        assert "Answer like a sailor." in told and "Be brief." in told, told
        equal([message["role"] for message in body["messages"]], ["user"], "roles of the messages")


@on_models(NATIVE, TRANSLATED)
def tool(model):
    """A call, its result, and the answer to it."""
    messages = [{"role": "user", "content": "Use weather for Lisbon"}]
    first = ask(model, messages, tools=[WEATHER, TIME]).choices[0]
    equal(first.finish_reason, "tool_calls", "finish reason")
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in first.message.tool_calls]
    equal(calls, [("weather", {"city": "example", "days": 2})], "calls")
    equal(calls, Replayed().calls, "calls, as the provider gave them")
    call = first.message.tool_calls[0]
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    second = ask(model, messages, tools=[WEATHER, TIME])
    equal(second.choices[0].finish_reason, "stop", "finish reason after the result")
    equal(second.choices[0].message.content, Replayed().text, "text after the result")
    assert call.id in testbed.last_upstream_request()["body"], "the call's id went lost on the way back"


@on_models(NATIVE, TRANSLATED)
def tools_in_parallel(model):
    """Two calls in one answer; both results go back."""
    messages = [{"role": "user", "content": "Use weather and clock twice"}]
    first = ask(model, messages, tools=[WEATHER, TIME], tool_choice="required").choices[0].message
    equal([c.function.name for c in first.tool_calls], ["weather", "clock"], "names of the calls")
    assert first.tool_calls[0].id != first.tool_calls[1].id, "two calls, one id"
    messages += [first] + [{"role": "tool", "tool_call_id": c.id, "content": f"of {c.id}"} for c in first.tool_calls]
    equal(ask(model, messages, tools=[WEATHER, TIME]).choices[0].finish_reason, "stop", "finish reason")
    body = testbed.last_upstream_request()["body"]
    for call in first.tool_calls:
        assert f"of {call.id}" in body, f"the result of {call.id} is missing upstream"
    single = ask(model, messages[:1], tools=[WEATHER, TIME], parallel_tool_calls=False).choices[0].message
    equal(len(single.tool_calls), 1, "calls when parallel ones are forbidden")


@on_models(NATIVE, TRANSLATED)
def tools_streamed(model):
    """Arguments come in pieces, each with the index of its call."""
    names, arguments = {}, {}
    messages = [{"role": "user", "content": "Use weather and clock twice"}]
    for chunk in ask(model, messages, tools=[WEATHER, TIME], stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            if call.function.name:
                names[call.index] = call.function.name
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    equal(chunk.choices[0].finish_reason, "tool_calls", "finish reason")
    calls = [(names[index], json.loads(arguments[index])) for index in sorted(names)]
    equal(calls, Replayed().calls, "calls")
    equal(len(calls), 2, "number of calls")


class Weather(pydantic.BaseModel):
    city: str
    days: int


@on_models(NATIVE, TRANSLATED)
def structured_output(model):
    """The package turns a class into a schema, and the answer into an object of it."""
    completion = client.chat.completions.parse(model=model, messages=QUESTION, response_format=Weather)
    equal(completion.choices[0].message.parsed, Weather(city="example", days=1), "parsed")


@on_models(NATIVE, TRANSLATED)
def stop_sequence(model):
    """The text ends before the sequence."""
    word = ask(model).choices[0].message.content.split()[3]
    choice = ask(model, stop=[word]).choices[0]
    equal(choice.finish_reason, "stop", "finish reason")
    assert word not in choice.message.content, choice.message.content
    body = testbed.last_upstream_request()["json"]
    equal(body["stop" if model == NATIVE else "stop_sequences"], [word], "what the provider was told")


@on_models(NATIVE, TRANSLATED)
def image(model):
    """An image given as a data URL arrives byte for byte."""
    url = f"data:image/png;base64,{PNG_BASE64}"
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    completion = ask(model, [{"role": "user", "content": content}])
    usage_agrees(completion.usage, Replayed())
    assert completion.usage.prompt_tokens > 85, "the provider did not see an image"
    [message] = testbed.last_upstream_request()["json"]["messages"]
    if model == NATIVE:
        equal(message["content"], content, "content")
    else:
        source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
        equal(message["content"][1]["source"], source, "the image's source")


@case
def embeddings():
    """The package asks for base64 unless told otherwise; both forms hold the same numbers, at a quarter of the size."""
    texts = ["the first text", "another one"]
    packed = client.embeddings.create(model=NATIVE, input=texts, dimensions=64)
    equal(testbed.last_upstream_request()["json"]["encoding_format"], "base64", "asked for upstream")
    plain = client.embeddings.create(model=NATIVE, input=texts, dimensions=64, encoding_format="float")
    equal([len(one.embedding) for one in packed.data], [64, 64], "dimensions")
    for one, other in zip(packed.data, plain.data):
        distance = max(abs(a - b) for a, b in zip(one.embedding, other.embedding))
        assert distance < 1e-6, f"base64 and float differ by {distance}"
    assert packed.data[0].embedding != packed.data[1].embedding, "two texts, one vector"
    tokens = sum(testbed.tokens(text) for text in texts)
    equal((packed.usage.prompt_tokens, packed.usage.total_tokens), (tokens, tokens), "usage")


@case
def responses():
    """Responses, whole and streamed, where the backend has them."""
    whole = client.responses.create(model=NATIVE, input="Hello there")
    equal(whole.status, "completed", "status")
    equal(whole.usage.output_tokens, testbed.tokens(whole.output_text), "output tokens")
    events = list(client.responses.create(model=NATIVE, input="Hello there", stream=True))
    equal(events[0].type, "response.created", "first event")
    equal(events[-1].type, "response.completed", "last event")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    equal(text, events[-1].response.output_text, "text")
    equal([event.sequence_number for event in events], list(range(len(events))), "sequence numbers")


@case
def completions():
    """The old completions endpoint."""
    whole = client.completions.create(model=NATIVE, prompt="Once upon a time")
    equal(whole.usage.completion_tokens, testbed.tokens(whole.choices[0].text), "output tokens")
    chunks = list(client.completions.create(model=NATIVE, prompt="Once upon a time", stream=True))
    assert sum(len(c.choices) for c in chunks) == len(chunks) > 10, "usage was not asked for, text was"


@case
def models():
    """The list holds what the routes name, and each of it can be looked up."""
    listed = {model.id: model for model in client.models.list()}
    assert {NATIVE, TRANSLATED, "gpt-failover"} <= set(listed), f"listed: {sorted(listed)}"
    one = client.models.retrieve(TRANSLATED)
    equal((one.id, one.object), (TRANSLATED, "model"), "one model")
    equal(one, listed[TRANSLATED], "one model, compared with the list")
    error = testbed.raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-unknown"))
    equal(error.code, "model_not_found", "code")


@case
def base_urls():
    """With and without `/v1`, with and without a slash at the end."""
    for base in (GATEWAY, f"{GATEWAY}/", f"{GATEWAY}/v1", f"{GATEWAY}/v1/"):
        other = openai.OpenAI(api_key=CLIENT_KEY, base_url=base, max_retries=0)
        completion = other.chat.completions.create(model=NATIVE, messages=QUESTION)
        assert completion.choices[0].message.content, base
        assert NATIVE in {model.id for model in other.models.list()}, base


@case
def async_client():
    """The asyncio half of the package, ten streams at once."""

    async def one(other, number):
        messages = [{"role": "user", "content": f"Question number {number}"}]
        text = ""
        async for chunk in await other.chat.completions.create(model=NATIVE, messages=messages, stream=True):
            text += chunk.choices[0].delta.content or ""
        return text

    async def all_of_them():
        async with openai.AsyncOpenAI(api_key=CLIENT_KEY, base_url=f"{GATEWAY}/v1", max_retries=0) as other:
            return await asyncio.gather(*(one(other, number) for number in range(10)))

    texts = asyncio.run(all_of_them())
    equal(len(set(texts)), 10, "different answers to different questions")


@case
def http2_in_clear_text():
    """HTTP/2 by prior knowledge, as some official clients speak it on `http://`."""
    with httpx.Client(http1=False, http2=True, trust_env=False, timeout=30) as http2:
        answer = http2.post(
            f"{GATEWAY}/v1/chat/completions",
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            json={"model": NATIVE, "messages": QUESTION},
        )
    equal((answer.status_code, answer.http_version), (200, "HTTP/2"), "status and version")
    equal(answer.json()["choices"][0]["message"]["content"], Replayed().text, "text")


@on_models(NATIVE, TRANSLATED)
def credentials(model):
    """The provider sees the backend's key; the client's own key goes nowhere. What marks SDK retries does."""
    extra = {"openai-organization": "org-of-the-client", "openai-beta": "b=v2", "cookie": f"session={CLIENT_KEY}"}
    ask(model, extra_headers=extra)
    seen = testbed.last_upstream_request()
    assert CLIENT_KEY not in json.dumps(seen), f"the client's key reached the upstream: {seen}"
    headers = seen["headers"]
    if model == NATIVE:
        equal(headers["authorization"], f"Bearer {BACKEND_KEY}", "authorization")
        equal(headers["openai-beta"], "b=v2", "a header of the upstream's own dialect")
    else:
        equal(headers["x-api-key"], BACKEND_KEY, "x-api-key")
        assert "authorization" not in headers, headers["authorization"]
        assert "openai-beta" not in headers, "a header of another dialect"
    assert "openai-organization" not in headers, "it names an account of the client's, and the key is ours"
    equal(headers["x-stainless-retry-count"], "0", "the client's count of its retries")


@on_models(NATIVE, TRANSLATED)
def strict_bodies(model):
    """What is on the wire satisfies the package's types, which the package itself does not check."""
    messages = [{"role": "user", "content": "Use weather and clock twice"}]
    for extra in ({"messages": QUESTION}, {"messages": messages, "tools": [WEATHER, TIME]}):
        strict.openai_whole("/v1/chat/completions", {"model": model, **extra}, ChatCompletion)
        for options in ({}, {"stream_options": {"include_usage": True}}):
            strict.openai_stream({"model": model, **extra, "stream": True, **options})
    strict.openai_error({"model": "gpt-unknown", "messages": QUESTION}, {}, 404)
    strict.openai_error({"model": model, "messages": QUESTION}, testbed.scripted("429"), 429)
    strict.openai_error({"model": model, "messages": QUESTION}, testbed.scripted("html502"), 502)


@case
def ledger_agrees_with_the_provider():
    """For complete answers the gateway's ledger and the provider's counts are the same to the token."""
    before = testbed.ledger_at_rest()
    testbed.reset()
    for number in range(4):
        long = [{"role": "system", "content": "word " * 100}, {"role": "user", "content": f"Question {number}"}]
        for model in (NATIVE, TRANSLATED):
            ask(model, long)
            list(ask(model, long, stream=True))
            list(ask(model, long, stream=True, stream_options={"include_usage": True}))
            ask(model, [{"role": "user", "content": "Use weather"}], tools=[WEATHER], max_completion_tokens=50)
    ask(NATIVE, reasoning_effort="high")
    client.embeddings.create(model=NATIVE, input="some text to be embedded")
    list(client.responses.create(model=NATIVE, input="some text to be answered", stream=True))
    client.responses.create(model=NATIVE, input="some text to be answered")
    list(client.completions.create(model=NATIVE, prompt="some text to go on with", stream=True))
    for model in (NATIVE, TRANSLATED):
        testbed.ledger_agrees(before, model)


if __name__ == "__main__":
    print(f"openai {openai.__version__}")
    testbed.run_cases()
