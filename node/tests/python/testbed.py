"""What the client tests stand on: the gateway, its admin API, the simulated provider, and a runner for cases.

The test command starts all three and passes their URLs, and which cases to run:

    TEST_GATEWAY, TEST_ADMIN    the gateway, http://127.0.0.1:PORT each
    TEST_SIMULATOR              the provider that all its backends lead to
    TEST_CASES                  words: only cases whose names contain one of them

A case is a function of a client script, marked with `@case`. Cases run one after the other, since they set the
simulator's script for all. Every case starts with a simulator that has forgotten everything.
"""

import json
import os
import re
import sys
import time
import traceback

import httpx

from expect import Stopwatch, equal, eventually, raises  # noqa: F401 (for the scripts, which need all of these)
from ledger import ledger_at_rest, ledger_since

GATEWAY = os.environ["TEST_GATEWAY"]
SIMULATOR = os.environ["TEST_SIMULATOR"]

# What the client holds, and what the gateway's backends hold. The first must never be seen upstream.
CLIENT_KEY = "client-key-of-its-own"
BACKEND_KEY = "backend-key-of-the-gateway"

# A red dot: 1 by 1 pixel.
PNG_BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"

http = httpx.Client(timeout=30, trust_env=False)
_cases = []


def case(function):
    """Marks a test case."""
    _cases.append(function)
    return function


def on_models(*models):
    """The case is run once for each model."""

    def wrap(function):
        for model in models:
            def run(model=model):
                function(model)

            run.__name__ = f"{function.__name__}[{model}]"
            _cases.append(run)
        return function

    return wrap


def run_cases():
    """Runs all marked cases, or those whose names contain a word of TEST_CASES, and exits 1 if one failed."""
    wanted = os.environ.get("TEST_CASES", "").split()
    failed, started = [], time.monotonic()
    chosen = [one for one in _cases if not wanted or any(word in one.__name__ for word in wanted)]
    for one in chosen:
        reset()
        begun = time.monotonic()
        try:
            one()
            print(f"ok      {one.__name__} ({time.monotonic() - begun:.2f} s)", flush=True)
        except Exception as error:  # noqa: BLE001 (whatever it is, the other cases are still worth running)
            failed.append(one.__name__)
            print(f"FAILED  {one.__name__}: {type(error).__name__}: {error}", flush=True)
            for frame in traceback.extract_tb(error.__traceback__):
                if os.path.dirname(frame.filename) == os.path.dirname(__file__) and frame.name != "run_cases":
                    print(f"        {os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}", flush=True)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} cases passed in {time.monotonic() - started:.1f} s", flush=True)
    if not chosen:
        sys.exit(f"no case is named like {wanted}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


# ---- The simulated provider


def reset(script=""):
    """The simulator forgets its counts and plays `script` (grammar: `tollgate simulate-provider --help`)."""
    answer = http.post(f"{SIMULATOR}/simulate/reset", params={"fail": script})
    assert answer.status_code == 200, f"the script {script!r}: {answer.text}"


def scripted(script):
    """A header by which one request (and each of its retries) is played by `script`."""
    return {"x-simulate": script}


def stats():
    """What the simulator produced since the last reset, all models together."""
    return http.get(f"{SIMULATOR}/simulate/stats").json()["total"]


def stats_of(model):
    """What it produced for one model."""
    return http.get(f"{SIMULATOR}/simulate/stats").json()["models"][model]


def upstream_requests():
    """What reached the simulator since the last reset, oldest first; the body parsed."""
    found = http.get(f"{SIMULATOR}/simulate/requests").json()["requests"]
    for one in found:
        one["json"] = json.loads(one["body"]) if one["body"] else None
    return found


def last_upstream_request():
    """The newest request that reached the simulator."""
    found = upstream_requests()
    assert found, "nothing reached the upstream"
    return found[-1]


class Replayed:
    """The simulator's own answer to the request that the gateway sent it, asked for again without the gateway.

    The simulator is deterministic, so text, tool calls and counts must be the same that the client was given.
    """

    def __init__(self, recorded=None):
        recorded = recorded or last_upstream_request()
        headers = {name: value for name, value in recorded["headers"].items() if name not in ("host", "content-length")}
        body = recorded["body"].encode()
        answer = http.post(SIMULATOR + recorded["path"], headers=headers, content=body)
        assert answer.status_code == 200, answer.text
        self.text, self.calls, self.usage = "", [], None
        anthropic = recorded["path"].endswith("/messages")
        if answer.headers["content-type"].startswith("text/event-stream"):
            read = self._anthropic_event if anthropic else self._openai_event
            for _, data in events(answer.text):
                if data != "[DONE]":
                    read(json.loads(data))
        elif anthropic:
            self._anthropic_message(answer.json())
        else:
            self._openai_completion(answer.json())
        self.calls = [(name, json.loads(arguments)) for name, arguments in self.calls]

    def _openai_completion(self, body):
        message = body["choices"][0]["message"]
        self.text = message["content"] or ""
        self.calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]
        self.usage = body["usage"]

    def _openai_event(self, chunk):
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            self.text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                if call.get("id"):
                    self.calls.append((call["function"]["name"], ""))
                name, arguments = self.calls[call["index"]]
                self.calls[call["index"]] = (name, arguments + call["function"].get("arguments", ""))

    def _anthropic_message(self, body):
        for block in body["content"]:
            if block["type"] == "text":
                self.text += block["text"]
            elif block["type"] == "tool_use":
                self.calls.append((block["name"], json.dumps(block["input"])))
        self.usage = body["usage"]

    def _anthropic_event(self, event):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            self.calls.append((event["content_block"]["name"], ""))
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            self.text += event["delta"]["text"]
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta":
            name, arguments = self.calls[-1]
            self.calls[-1] = (name, arguments + event["delta"]["partial_json"])
        elif event["type"] == "message_delta":
            self.usage = event["usage"]


def tokens(text):
    """The simulator's stated tokenizer: a run of letters, digits and underscores, or any other visible character."""
    return len(re.findall(r"\w+|[^\w\s]", text))


# ---- The gateway


def ledger_agrees(before, model):
    """What was booked for a model since `before` is what the simulator counted since its reset, to the token."""
    truth = stats_of(model)
    equal(truth["answered"], truth["requests"], "answered by the provider")
    expected = {
        "requests": truth["requests"],
        "estimated_requests": 0,
        "input": truth["input_tokens"],
        "cached_input": truth["cached_tokens"],
        "cache_creation_input": truth["cache_written_tokens"],
        "output": truth["output_tokens"],
        "reasoning": truth["reasoning_tokens"],
        "total": truth["input_tokens"] + truth["output_tokens"],
    }

    def booked():
        found = ledger_since(before, model)
        return {name: found.get(name, 0) for name in expected}

    eventually(lambda: booked() == expected, lambda: f"{model}: booked {booked()}, the provider counted {expected}")


def cancelled_and_booked(before, model, read):
    """A client left a stream after `read` tokens: the upstream was told, and an estimate of what passed is booked.

    The estimate is a token a chunk at least, so not below what the client read. Where bytes say more it takes 4 of them
    for a token; the simulator's have 10 at most, so the estimate is at most 2.5 times what the simulator produced.
    """
    eventually(lambda: stats()["cancelled"] == 1, lambda: f"the upstream call is not cancelled: {stats()}")
    produced = stats()
    equal(produced["open_streams"], 0, "open streams")
    assert read <= produced["output_tokens"] < 100, f"cancelled late: {produced}"
    eventually(lambda: ledger_since(before, model).get("requests"), "nothing is booked")
    booked = ledger_since(before, model)
    equal((booked["requests"], booked["estimated_requests"]), (1, 1), "requests and estimated ones")
    assert read <= booked["estimated_output"] <= 2.5 * produced["output_tokens"] + 1, (booked, produced)
    assert booked["estimated_input"] > 0, booked


def events(text):
    """The events of an SSE body as (name or None, data); comments are passed over."""
    assert text.endswith("\n\n") or text.endswith("\r\n\r\n"), f"the last event is not closed: {text[-80:]!r}"
    found = []
    for block in re.split(r"\r?\n\r?\n", text):
        fields = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = fields.get(name, []) + [value.removeprefix(" ")]
        if "data" in fields:
            found.append((fields.get("event", [None])[0], "\n".join(fields["data"])))
    return found
