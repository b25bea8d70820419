"""The official `anthropic` package drives the gateway: everyday use. Failures are in anthropic_failures.py.

`claude-sim` is served by a backend of the client's own dialect, `gpt-sim` by one that speaks OpenAI's. Releases from 2.0
on send API version 2026-10-21 and the key as a bearer token, older ones 2023-06-01 and `x-api-key`: both must work.
"""

import asyncio
import json

import anthropic
import httpx

import anthropic_failures  # noqa: F401 (its cases are run with those of this file)
import strict
import testbed
from testbed import BACKEND_KEY, CLIENT_KEY, GATEWAY, PNG_BASE64, Replayed, case, equal, on_models, tokens

NATIVE, TRANSLATED = "claude-sim", "gpt-sim"
QUESTION = [{"role": "user", "content": "What is at the end of the river?"}]
NEW = int(anthropic.__version__.split(".")[0]) >= 2
VERSION = "2026-10-21" if NEW else "2023-06-01"
KEY_HEADER = {"authorization": f"Bearer {CLIENT_KEY}"} if NEW else {"x-api-key": CLIENT_KEY}
client = anthropic.Anthropic(api_key=CLIENT_KEY, base_url=GATEWAY, max_retries=0, timeout=30)

WEATHER = {
    "name": "weather",
    "description": "The weather of the coming days",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    },
}
TIME = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}


def ask(model, messages=None, max_tokens=100, **options):
    return client.messages.create(model=model, messages=messages or QUESTION, max_tokens=max_tokens, **options)


def streamed(model, messages=None, max_tokens=100, **options):
    """The package's own stream helper, which adds the events up."""
    return client.messages.stream(model=model, messages=messages or QUESTION, max_tokens=max_tokens, **options)


def usage_agrees(usage, replayed):
    """The client's usage is the provider's, whatever dialect that counted in: here input leaves cached tokens out."""
    theirs = replayed.usage
    if "prompt_tokens" in theirs:
        ours = (usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)
        equal(ours, (theirs["prompt_tokens"], theirs["completion_tokens"]), "usage")
    else:
        equal((usage.input_tokens, usage.output_tokens), (theirs["input_tokens"], theirs["output_tokens"]), "usage")


@on_models(NATIVE, TRANSLATED, "claude-bearer")
def chat(model):
    message = ask(model)
    equal((message.type, message.role), ("message", "assistant"), "type and role")
    equal((message.stop_reason, message.stop_sequence), ("end_turn", None), "stop reason")
    replayed = Replayed()
    [block] = message.content
    assert block.text, "no text"
    equal(block.text, replayed.text, "text")
    usage_agrees(message.usage, replayed)
    equal(message.usage.output_tokens, tokens(block.text), "tokens of the text")
    assert message._request_id.startswith("req_"), f"request id: {message._request_id!r}"


@on_models(NATIVE, TRANSLATED)
def stream(model):
    """Deltas joined are the answer, and the sum of all events is the message."""
    with streamed(model) as stream:
        deltas = list(stream.text_stream)
        message = stream.get_final_message()
    replayed = Replayed()
    assert len(deltas) > 10, f"only {len(deltas)} deltas: collected instead of streamed?"
    equal("".join(deltas), replayed.text, "text")
    equal(message.content[0].text, replayed.text, "text of the message")
    equal(message.stop_reason, "end_turn", "stop reason")
    usage_agrees(message.usage, replayed)


@on_models(NATIVE, TRANSLATED)
def raw_stream(model):
    """Every event as it comes, with cumulative usage in the last delta."""
    events = [event for event in ask(model, stream=True) if event.type != "ping"]
    equal(events[0].type, "message_start", "first event")
    equal([event.type for event in events[-3:]], ["content_block_stop", "message_delta", "message_stop"], "last events")
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    replayed = Replayed()
    equal(text, replayed.text, "text")
    equal(events[-2].usage.output_tokens, tokens(text), "output tokens")


@on_models(NATIVE, TRANSLATED)
def stream_in_pieces(model):
    """Comments, CR LF and events cut anywhere on the wire change nothing."""
    with streamed(model, extra_headers=testbed.scripted("bytes=7,comments,crlf")) as stream:
        equal("".join(stream.text_stream), Replayed().text, "text")


@on_models(NATIVE, TRANSLATED)
def output_cap(model):
    """The stop reason tells that the answer is not whole."""
    message = ask(model, max_tokens=3)
    equal((message.stop_reason, message.usage.output_tokens), ("max_tokens", 3), "stop reason and output tokens")


@on_models(NATIVE, TRANSLATED)
def stop_sequence(model):
    """The text ends before the sequence. Only a provider of the same dialect says which one it was."""
    whole = ask(model).content[0].text
    word = whole.split()[3]
    message = ask(model, stop_sequences=[word])
    if message.content:
        assert word not in message.content[0].text, message.content[0].text
    if model == NATIVE and message.stop_reason == "stop_sequence":
        equal(message.stop_sequence, word, "stop sequence")
    body = testbed.last_upstream_request()["json"]
    equal(body["stop_sequences" if model == NATIVE else "stop"], [word], "what the provider was told")


@on_models(NATIVE, TRANSLATED)
def system(model):
    """The system prompt, as text and as blocks, reaches the provider where it looks for it."""
    for prompt in ("Answer like a sailor.", [{"type": "text", "text": "Answer like a sailor."}]):
        ask(model, system=prompt)
        body = testbed.last_upstream_request()["json"]
        if model == NATIVE:
            equal(body["system"], prompt, "system prompt")
        else:
            first = body["messages"][0]
            assert first["role"] in ("system", "developer") and "like a sailor" in json.dumps(first), first


@on_models(NATIVE, TRANSLATED)
def tool(model):
    """A call, its result, and the answer to it."""
    messages = [{"role": "user", "content": "Use weather for Lisbon"}]
    first = ask(model, messages, tools=[WEATHER, TIME])
    equal(first.stop_reason, "tool_use", "stop reason")
    calls = [block for block in first.content if block.type == "tool_use"]
    equal([(c.name, c.input) for c in calls], [("weather", {"city": "example", "days": 2})], "calls")
    equal([(c.name, c.input) for c in calls], Replayed().calls, "calls, as the provider gave them")
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "rain"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(model, messages, tools=[WEATHER, TIME])
    equal(second.stop_reason, "end_turn", "stop reason after the result")
    equal(second.content[0].text, Replayed().text, "text after the result")
    assert calls[0].id in testbed.last_upstream_request()["body"], "the call's id went lost on the way back"


@on_models(NATIVE, TRANSLATED)
def tools_in_parallel(model):
    """Two calls in one answer; both results go back in one message."""
    messages = [{"role": "user", "content": "Use weather and clock twice"}]
    first = ask(model, messages, tools=[WEATHER, TIME], tool_choice={"type": "any"})
    calls = [block for block in first.content if block.type == "tool_use"]
    equal([call.name for call in calls], ["weather", "clock"], "names of the calls")
    assert calls[0].id != calls[1].id, "two calls, one id"
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"of {c.id}"} for c in calls]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    equal(ask(model, messages, tools=[WEATHER, TIME]).stop_reason, "end_turn", "stop reason")
    body = testbed.last_upstream_request()["body"]
    for call in calls:
        assert f"of {call.id}" in body, f"the result of {call.id} is missing upstream"
    one_only = {"type": "auto", "disable_parallel_tool_use": True}
    single = ask(model, messages[:1], tools=[WEATHER, TIME], tool_choice=one_only)
    equal(len([block for block in single.content if block.type == "tool_use"]), 1, "calls when parallel ones are forbidden")


@on_models(NATIVE, TRANSLATED)
def tools_streamed(model):
    """Arguments come in pieces; the helper puts them together."""
    with streamed(model, [{"role": "user", "content": "Use weather and clock twice"}], tools=[WEATHER, TIME]) as stream:
        message = stream.get_final_message()
    equal(message.stop_reason, "tool_use", "stop reason")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    equal(calls, Replayed().calls, "calls")
    equal(len(calls), 2, "number of calls")


@on_models(NATIVE, TRANSLATED)
def image(model):
    """An image given as base64 arrives byte for byte."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = ask(model, [{"role": "user", "content": content}])
    usage_agrees(message.usage, Replayed())
    assert message.usage.input_tokens > 85, "the provider did not see an image"
    [sent] = testbed.last_upstream_request()["json"]["messages"]
    if model == NATIVE:
        equal(sent["content"], content, "content")
    else:
        url = f"data:image/png;base64,{PNG_BASE64}"
        equal(sent["content"][0]["image_url"]["url"], url, "the image's URL")


@case
def prompt_cache():
    """Cache writes and reads are told apart, and input leaves both out."""
    prompt = [{"type": "text", "text": "word " * 200, "cache_control": {"type": "ephemeral"}}]
    first, second = (ask(NATIVE, system=prompt).usage for _ in range(2))
    assert first.cache_creation_input_tokens > 100 and first.cache_read_input_tokens == 0, first
    equal(second.cache_read_input_tokens, first.cache_creation_input_tokens, "read the second time")
    equal(second.input_tokens, first.input_tokens, "input beside the cache")


@case
def models():
    """The list holds what the routes name, pages through it, and each of it can be looked up."""
    listed = [model.id for model in client.models.list(limit=3)]
    assert {NATIVE, TRANSLATED, "gpt-failover"} <= set(listed), f"listed: {listed}"
    equal(len(listed), len(set(listed)), "models without their repetitions")
    first = client.models.list(limit=3)
    equal((len(first.data), first.has_more), (3, True), "first page")
    one = client.models.retrieve(NATIVE)
    equal((one.id, one.type), (NATIVE, "model"), "one model")
    testbed.raises(anthropic.NotFoundError, lambda: client.models.retrieve("claude-unknown"))


@case
def base_urls():
    """With and without `/v1` and `/anthropic`; the package appends `/v1/messages` to all of them."""
    for base in (GATEWAY, f"{GATEWAY}/", f"{GATEWAY}/v1", f"{GATEWAY}/anthropic"):
        other = anthropic.Anthropic(api_key=CLIENT_KEY, base_url=base, max_retries=0)
        message = other.messages.create(model=NATIVE, messages=QUESTION, max_tokens=10)
        assert message.content[0].text, base
        assert NATIVE in {model.id for model in other.models.list()}, base


@case
def async_client():
    """The asyncio half of the package, ten streams at once."""

    async def one(other, number):
        messages = [{"role": "user", "content": f"Question number {number}"}]
        async with other.messages.stream(model=NATIVE, messages=messages, max_tokens=100) as stream:
            return (await stream.get_final_message()).content[0].text

    async def all_of_them():
        async with anthropic.AsyncAnthropic(api_key=CLIENT_KEY, base_url=GATEWAY, max_retries=0) as other:
            return await asyncio.gather(*(one(other, number) for number in range(10)))

    texts = asyncio.run(all_of_them())
    equal(len(set(texts)), 10, "different answers to different questions")


@case
def http2_in_clear_text():
    """HTTP/2 by prior knowledge, as some official clients speak it on `http://`."""
    with httpx.Client(http1=False, http2=True, trust_env=False, timeout=30) as http2:
        answer = http2.post(
            f"{GATEWAY}/v1/messages",
            headers={**KEY_HEADER, "anthropic-version": VERSION},
            json={"model": NATIVE, "messages": QUESTION, "max_tokens": 50},
        )
    equal((answer.status_code, answer.http_version), (200, "HTTP/2"), "status and version")
    equal(answer.json()["content"][0]["text"], Replayed().text, "text")


@on_models(NATIVE, "claude-bearer", TRANSLATED)
def credentials(model):
    """The provider sees the backend's key in the form that the backend wants; the client's own key goes nowhere."""
    ask(model, extra_headers={"anthropic-beta": "one-2026-01-01,two-2026-02-02", "cookie": f"session={CLIENT_KEY}"})
    seen = testbed.last_upstream_request()
    assert CLIENT_KEY not in json.dumps(seen), f"the client's key reached the upstream: {seen}"
    headers = seen["headers"]
    if model == NATIVE:
        equal((headers.get("x-api-key"), headers.get("authorization")), (BACKEND_KEY, None), "credentials")
    else:
        equal((headers.get("x-api-key"), headers.get("authorization")), (None, f"Bearer {BACKEND_KEY}"), "credentials")
    if model == TRANSLATED:
        equal([name for name in headers if name.startswith("anthropic-")], [], "headers of another dialect")
    else:
        equal(headers["anthropic-version"], VERSION, "the client's API version")
        equal(headers["anthropic-beta"], "one-2026-01-01,two-2026-02-02", "anthropic-beta, byte for byte")
    equal(headers["x-stainless-retry-count"], "0", "the client's count of its retries")


@case
def what_the_package_sends():
    """The pin is worth its place: this release authenticates and versions as expected, straight to the provider."""
    straight = anthropic.Anthropic(api_key=CLIENT_KEY, base_url=testbed.SIMULATOR, max_retries=0)
    straight.messages.create(model=NATIVE, messages=QUESTION, max_tokens=5)
    headers = testbed.last_upstream_request()["headers"]
    equal(headers["anthropic-version"], VERSION, "anthropic-version")
    equal({name: headers.get(name) for name in KEY_HEADER}, KEY_HEADER, "credential")


@on_models(NATIVE, TRANSLATED)
def strict_bodies(model):
    """What is on the wire satisfies the package's types, which the package itself does not check."""
    headers = {**KEY_HEADER, "anthropic-version": VERSION}
    messages = [{"role": "user", "content": "Use weather and clock twice"}]
    for extra in ({"messages": QUESTION}, {"messages": messages, "tools": [WEATHER, TIME]}):
        body = {"model": model, "max_tokens": 100, **extra}
        strict.anthropic_whole(body, headers)
        strict.anthropic_stream({**body, "stream": True}, headers)
    body = {"model": model, "max_tokens": 100, "messages": QUESTION}
    strict.anthropic_error({**body, "model": "claude-unknown"}, headers, 404)
    for script, status in (("429", 429), ("529", 529), ("html502", 502)):
        strict.anthropic_error(body, {**headers, **testbed.scripted(script)}, status)


@case
def ledger_agrees_with_the_provider():
    """For complete answers the gateway's ledger and the provider's counts are the same to the token."""
    before = testbed.ledger_at_rest()
    testbed.reset()
    prompt = [{"type": "text", "text": "word " * 100, "cache_control": {"type": "ephemeral"}}]
    for number in range(4):
        messages = [{"role": "user", "content": f"Question {number}"}]
        for model in (NATIVE, TRANSLATED):
            ask(model, messages, system=prompt)
            with streamed(model, messages, system=prompt) as stream:
                stream.get_final_message()
            list(ask(model, [{"role": "user", "content": "Use weather"}], tools=[WEATHER], stream=True))
    ask(NATIVE, thinking={"type": "adaptive"})
    for model in (NATIVE, TRANSLATED):
        testbed.ledger_agrees(before, model)


if __name__ == "__main__":
    print(f"anthropic {anthropic.__version__}")
    testbed.run_cases()
