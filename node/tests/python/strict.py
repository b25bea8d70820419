"""Bodies off the wire, held against the SDKs' own types.

The SDKs build their objects without checking, so that "the SDK did not crash" says little. Pydantic's strict mode with
the same types finds a missing field, a number in a string, and a value that no client expects.
"""

import httpx
from pydantic import TypeAdapter

import testbed
from testbed import CLIENT_KEY, GATEWAY, equal

OPENAI = {"authorization": f"Bearer {CLIENT_KEY}"}


def openai_whole(path, body, kind, headers=()):
    """One unstreamed answer to an OpenAI path."""
    answer = httpx.post(GATEWAY + path, headers={**OPENAI, **dict(headers)}, json=body, trust_env=False)
    equal(answer.status_code, 200, f"status ({answer.text})")
    return validated(kind, answer.text)


def openai_stream(body):
    """One streamed chat, each chunk by itself, up to the end mark."""
    from openai.types.chat import ChatCompletionChunk

    answer = httpx.post(f"{GATEWAY}/v1/chat/completions", headers=OPENAI, json=body, trust_env=False)
    equal(answer.headers["content-type"].split(";")[0], "text/event-stream", f"content type ({answer.text[:200]})")
    events = testbed.events(answer.text)
    equal(events[-1], (None, "[DONE]"), "the end of the stream")
    chunks = [validated(ChatCompletionChunk, data) for name, data in events[:-1]]
    wants_usage = body.get("stream_options", {}).get("include_usage", False)
    equal(sum(c.usage is not None for c in chunks), int(wants_usage), "chunks with usage")
    equal(sum(not c.choices for c in chunks), int(wants_usage), "chunks without choices")
    equal(chunks[0].choices[0].delta.role, "assistant", "role in the first chunk")


def openai_error(body, headers, status):
    """One refusal."""
    from openai.types.shared import ErrorObject

    answer = httpx.post(f"{GATEWAY}/v1/chat/completions", headers={**OPENAI, **headers}, json=body, trust_env=False)
    equal(answer.status_code, status, f"status ({answer.text})")
    equal(answer.headers["content-type"], "application/json", "content type")
    assert answer.headers["x-request-id"], "no request id"
    error = answer.json()
    equal(set(error), {"error"}, "fields of an error's body")
    TypeAdapter(ErrorObject).validate_python(error["error"], strict=True)


def anthropic_whole(body, headers):
    """One unstreamed message."""
    from anthropic.types import Message

    answer = httpx.post(f"{GATEWAY}/v1/messages", headers=headers, json=body, trust_env=False)
    equal(answer.status_code, 200, f"status ({answer.text})")
    return validated(Message, answer.text)


def anthropic_stream(body, headers):
    """One streamed message: the types, and the order that the protocol promises."""
    from anthropic.types import RawMessageStreamEvent

    answer = httpx.post(f"{GATEWAY}/v1/messages", headers=headers, json=body, trust_env=False)
    equal(answer.headers["content-type"].split(";")[0], "text/event-stream", f"content type ({answer.text[:200]})")
    found = []
    for name, data in testbed.events(answer.text):
        if name != "ping":
            event = validated(RawMessageStreamEvent, data)
            equal(event.type, name, "name of the event and type in its data")
            found.append(event)
    kinds = [event.type for event in found]
    equal(kinds[0], "message_start", "first event")
    equal(kinds[-2:], ["message_delta", "message_stop"], "last events")
    open_block, blocks = None, 0
    for event in found[1:-2]:
        if event.type == "content_block_start":
            assert open_block is None, f"block {event.index} begins inside block {open_block}"
            equal(event.index, blocks, "index of a block")
            open_block, blocks = event.index, blocks + 1
        else:
            assert event.type in ("content_block_delta", "content_block_stop"), event.type
            equal(event.index, open_block, f"index of a {event.type}")
            if event.type == "content_block_stop":
                open_block = None
    assert open_block is None, f"block {open_block} is never closed"
    assert blocks, "no content"


def anthropic_error(body, headers, status):
    """One refusal."""
    from anthropic.types import ErrorResponse

    answer = httpx.post(f"{GATEWAY}/v1/messages", headers=headers, json=body, trust_env=False)
    equal(answer.status_code, status, f"status ({answer.text})")
    equal(answer.headers["content-type"], "application/json", "content type")
    assert answer.headers["request-id"], "no request id"
    return validated(ErrorResponse, answer.text)


def validated(kind, text):
    """The text as a value of `kind`, by its rules and no leniency."""
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValueError as error:
        raise AssertionError(f"{text}\n{error}") from None
