"""The official `google-genai` package drives the gateway: everyday use, and failures.

`gemini-sim` is served by a backend of the client's own dialect, `gpt-sim` by one that speaks OpenAI's, `claude-sim` by one
that speaks Anthropic's.
"""

import asyncio
import base64
import json

from google import genai
from google.genai import errors, types

import testbed
from expect import equal, raises
from testbed import BACKEND_KEY, CLIENT_KEY, GATEWAY, case, on_models, scripted

NATIVE, MODELS = "gemini-sim", ("gemini-sim", "gpt-sim", "claude-sim")
QUESTION = "What is at the end of the river?"
client = genai.Client(api_key=CLIENT_KEY, http_options=types.HttpOptions(base_url=GATEWAY, timeout=30_000))

WEATHER = types.FunctionDeclaration(
    name="weather",
    description="The weather of the coming days",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    },
)


def config(**options):
    headers = options.pop("headers", None)
    http = types.HttpOptions(headers=headers) if headers else None
    options.setdefault("automatic_function_calling", types.AutomaticFunctionCallingConfig(disable=True))
    return types.GenerateContentConfig(http_options=http, **options)


def ask(model, contents=QUESTION, **options):
    return client.models.generate_content(model=model, contents=contents, config=config(**options))


def stream(model, contents=QUESTION, **options):
    return list(client.models.generate_content_stream(model=model, contents=contents, config=config(**options)))


def counted(usage, model):
    """What the client is told is what the provider counted."""
    truth = testbed.stats_of(model)
    ours = (usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0))
    equal(ours, (truth["input_tokens"], truth["output_tokens"]), "usage")


@on_models(*MODELS)
def generate(model):
    answer = ask(model)
    equal(testbed.tokens(answer.text), 20, "tokens of the text")
    equal(answer.candidates[0].finish_reason, types.FinishReason.STOP, "finish reason")
    counted(answer.usage_metadata, model)
    request = testbed.last_upstream_request()
    held = {name: value for name, value in request["headers"].items() if CLIENT_KEY in value}
    equal(held, {}, "the client's key upstream")
    assert any(BACKEND_KEY in value for value in request["headers"].values()), request["headers"]


@on_models(*MODELS)
def generate_streamed(model):
    chunks = stream(model)
    text = "".join(chunk.text or "" for chunk in chunks)
    assert len(chunks) > 10, f"only {len(chunks)} chunks: collected instead of streamed?"
    equal(testbed.tokens(text), 20, "tokens of the text")
    equal(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP, "finish reason")
    counted(chunks[-1].usage_metadata, model)


@on_models(*MODELS)
def in_pieces(model):
    """Events cut anywhere on the wire change nothing."""
    text = "".join(chunk.text or "" for chunk in stream(model, headers=scripted("bytes=7")))
    equal(testbed.tokens(text), 20, "tokens of the text")


@on_models(*MODELS)
def system_and_cap(model):
    answer = ask(model, system_instruction="Be brief.", max_output_tokens=3, temperature=0.5)
    equal(answer.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS, "finish reason")
    equal(answer.usage_metadata.candidates_token_count, 3, "output tokens")


@on_models(*MODELS)
def function_calls(model):
    """A call, its result, and the answer to that: with what the provider signed of the call, where it does."""
    tools = [types.Tool(function_declarations=[WEATHER])]
    must = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    answer = ask(model, tools=tools, tool_config=must)
    [call] = answer.function_calls
    equal((call.name, set(call.args)), ("weather", {"city", "days"}), "the call")
    assert isinstance(call.args["days"], int), call.args
    said = answer.candidates[0].content
    result = types.Part.from_function_response(name="weather", response={"sky": "clear"})
    result.function_response.id = call.id
    turns = [types.UserContent(QUESTION), said, types.Content(role="user", parts=[result])]
    assert ask(model, contents=turns, tools=tools).text


@on_models(*MODELS)
def structured(model):
    schema = {"type": "object", "properties": {"fish": {"type": "string"}}, "required": ["fish"],
              "additionalProperties": False}
    answer = ask(model, response_mime_type="application/json", response_json_schema=schema)
    equal(json.loads(answer.text), {"fish": "example"}, "the object")


@on_models(*MODELS)
def image(model):
    picture = types.Part.from_bytes(data=base64.b64decode(testbed.PNG_BASE64), mime_type="image/png")
    assert ask(model, contents=[picture, "What is this?"]).text


@case
def asynchronous():
    async def run():
        answers = [client.aio.models.generate_content(model=NATIVE, contents=QUESTION) for _ in range(8)]
        return await asyncio.gather(*answers)

    texts = {answer.text for answer in asyncio.run(run())}
    equal(len(texts), 1, "the same question has the same answer")


@on_models(*MODELS)
def refused(model):
    """The package's own error, with the provider's status."""
    for status in (400, 404, 429, 503):
        error = raises(errors.APIError, lambda: ask(model, headers=scripted(str(status))))
        equal(error.code, status, "code")
        assert "simulated" in error.message, error


@case
def unknown_model():
    error = raises(errors.ClientError, lambda: ask("nobody"))
    equal((error.code, error.status), (404, "NOT_FOUND"), "code and status")


@on_models(*MODELS)
def broken_stream(model):
    """A stream that breaks is no answer."""
    raises(Exception, lambda: stream(model, headers=scripted("reset@3")))


@case
def listed():
    names = [model.name for model in client.models.list()]
    assert f"models/{NATIVE}" in names, names


@on_models(*MODELS)
def booked(model):
    before = testbed.ledger_at_rest()
    ask(model)
    stream(model)
    testbed.ledger_agrees(before, model)


testbed.run_cases()
