"""Drives real llama.cpp servers through the gateway, and compares three counts: what the clients were told, what the
gateway booked, and what the servers counted themselves (/metrics).

    TEST_GATEWAY, TEST_ADMIN                          the gateway
    TEST_OPENAI, TEST_ANTHROPIC, TEST_EMBEDDINGS      a server each, spoken to in that dialect

`llama-openai`, `llama-anthropic` and `llama-embeddings` lead there. Each server gets requests of both kinds of clients.
"""

import dataclasses
import os
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

import llama_ways as ways
from expect import equal, eventually
from ledger import ledger_at_rest, ledger_since

OPENAI, ANTHROPIC, EMBEDDINGS = "llama-openai", "llama-anthropic", "llama-embeddings"
SERVERS = {
    OPENAI: os.environ["TEST_OPENAI"],
    ANTHROPIC: os.environ["TEST_ANTHROPIC"],
    EMBEDDINGS: os.environ["TEST_EMBEDDINGS"],
}
CONCURRENCY = 8
ROUNDS = 7
LEAVERS = 8
# Chunks that a client reads before it leaves, of a stream that would be many times longer.
READ_CHUNKS = 30
# What a server generates in the time until it notices that its client has left: at 10,000 tokens a second, 10 ms.
UNSEEN_TOKENS = 100
# The longest text of a token is 6 bytes ("▁their" with its space), and an estimate takes 4 bytes for a token.
MOST_PER_TOKEN = 1.5


@dataclasses.dataclass
class Counted:
    """A server's own counts."""

    input: int
    cached: int
    output: int
    busy: int


def main():
    dice = random.Random(5)
    finished(dice)
    left(dice)


def finished(dice):
    """About a hundred requests of every kind, all answered in full: every token is in the ledger, and no other."""
    before, counted = ledger_at_rest(), counts()
    tasks = [(model, way, prompt(dice)) for _ in range(ROUNDS) for model in SERVERS for way in WAYS[model]]
    dice.shuffle(tasks)
    told = at_once(tasks)
    by_model = {model: [told for (of, _, _), told in zip(tasks, told) if of == model] for model in SERVERS}
    for model, told in by_model.items():
        booked = settled(before, model, len(told))
        truth = since(counted, model)
        print(f"{model}: {len(told)} answers, the server counted {truth}, booked {booked}", flush=True)
        equal(booked["output"], truth.output, f"{model}: output tokens")
        if model == ANTHROPIC:
            input_where_some_is_not_told(booked, truth, told)
        else:
            equal(booked["estimated_requests"], 0, f"{model}: estimated requests")
            equal((booked["input"], booked["cached_input"]), (truth.input, truth.cached), f"{model}: input and cached")
            known = [one for one in told if one]
            assert sum(one.output for one in known) <= truth.output, "clients were told of more than there was"
    assert since(counted, OPENAI).cached > 0, "the prompts share beginnings, but nothing came from the cache"
    chunked = [one for told in by_model.values() for one in told if one and one.chunks]
    assert all(one.chunks <= one.output for one in chunked), "more chunks than tokens"
    assert any(one.chunks < one.output for one in chunked), "tokens are counted as chunks, not as the server counts"


def input_where_some_is_not_told(booked, truth, told):
    """The server leaves `message_start` out when the first byte it generates is no whole character, and nothing else in
    that stream tells the input: those requests are estimates, and the others are exact."""
    silent = sum(1 for one in told if one and one.input is None)
    assert booked["estimated_requests"] >= silent, f"{silent} streams did not tell their input: {booked}"
    assert booked["estimated_requests"] < len(told) / 2, f"far more estimates than streams without input: {booked}"
    missing = truth.input - (booked["input"] - booked["estimated_input"])
    bytes_bound_tokens(booked["estimated_input"], missing)


def left(dice):
    """Clients that leave in the middle of a stream, among others that stay: an estimate of what passed is booked."""
    before, counted = ledger_at_rest(), counts()
    leavers = ((OPENAI, ways.leave_chat), (ANTHROPIC, ways.leave_message), (OPENAI, ways.leave_message))
    stayers = ((OPENAI, ways.chat), (ANTHROPIC, ways.message))
    tasks = [(model, way, prompt(dice)) for _ in range(LEAVERS) for model, way in leavers + stayers]
    dice.shuffle(tasks)
    told = at_once(tasks)
    for model in (OPENAI, ANTHROPIC):
        mine = [(way, one) for (of, way, _), one in zip(tasks, told) if of == model]
        booked = settled(before, model, len(mine))
        truth = since(counted, model)
        exact = sum(one.output for way, one in mine if not is_leaver(way))
        read = sum(one for way, one in mine if is_leaver(way))
        leaving = sum(1 for way, _ in mine if is_leaver(way))
        estimated, produced = booked["output"] - exact, truth.output - exact
        share = booked["output"] / truth.output
        print(
            f"{model}: {leaving} of {len(mine)} clients left after {read} chunks; the server produced {produced} tokens "
            f"for them, booked are {estimated}; all in all {share:.0%} of {truth.output}", flush=True,
        )
        # A client may meet the end of a stream before it leaves: the model says "end" by chance.
        assert booked["estimated_requests"] > leaving / 2, f"{model}: leavers are not booked as estimates: {booked}"
        assert read <= estimated, f"{model}: clients read {read} chunks, {estimated} tokens are booked"
        assert estimated <= MOST_PER_TOKEN * produced, f"{model}: {estimated} tokens booked, {produced} produced"
        assert produced - estimated <= leaving * UNSEEN_TOKENS, (
            f"{model}: {produced} tokens produced, {estimated} booked: the server was told late that clients had left"
        )
        bytes_bound_tokens(
            booked["estimated_input"], truth.input - (booked["input"] - booked["estimated_input"])
        )


# Which ways there are to ask for a model that is served in the OpenAI dialect, and for one in Anthropic's.
WAYS = {
    OPENAI: (
        ways.chat,
        ways.chat_streamed,
        ways.chat_streamed_with_usage,
        ways.completion,
        ways.completion_streamed,
        ways.response,
        ways.response_streamed,
        ways.message,
        ways.message_streamed,
    ),
    ANTHROPIC: (ways.message, ways.message_streamed, ways.chat, ways.chat_streamed),
    EMBEDDINGS: (ways.embedding,),
}


def at_once(tasks):
    """Carries out tasks of model, way and prompt, some at a time, and gives back what each was told."""

    def carry_out(task):
        model, way, text = task
        return way(model, text, READ_CHUNKS) if is_leaver(way) else way(model, text)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(carry_out, tasks))


def is_leaver(way):
    return way in (ways.leave_chat, ways.leave_message)


def bytes_bound_tokens(estimate, truth):
    """Where the input is not told, it is booked as a quarter of the request's bytes. A token of the prompt is at least a
    byte of the request, so the truth is at most four times that. Most tokens here are single letters, so that it is
    not less than the estimate either."""
    assert estimate <= truth <= 4 * estimate, f"an input of {truth} tokens was estimated as {estimate}"


def prompt(dice):
    """Words with a beginning that many prompts share, so that the server's prefix cache has something to do."""
    subjects = ("the weather of the north", "ships that carry amber", "the long way through the valley")
    words = [dice.choice(("the", "river", "was", "cold", "and", "wide", "that", "morning")) for _ in range(12)]
    return f"{dice.choice(subjects)}: {' '.join(words)}"


def settled(before, model, requests):
    """The ledger's growth, once all requests are in it and the server works for nobody any more."""
    eventually(lambda: count(model).busy == 0, f"{model}: the server still works for somebody", within_s=20)
    eventually(
        lambda: ledger_since(before, model).get("requests") == requests,
        lambda: f"{model}: {requests} requests should be booked, got {ledger_since(before, model)}",
    )
    return ledger_since(before, model)


def counts():
    return {model: count(model) for model in SERVERS}


def count(model):
    """What a server counted since it started. It tells apart the prompt tokens it read and those it had cached."""
    text = httpx.get(f"{SERVERS[model]}/metrics", trust_env=False).text
    found = {name: float(value) for name, value in re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.MULTILINE)}
    cached = int(found["prompt_tokens_cached_total"])
    return Counted(
        input=int(found["prompt_tokens_total"]) + cached,
        cached=cached,
        output=int(found["tokens_predicted_total"]),
        busy=int(found["requests_processing"] + found["requests_deferred"]),
    )


def since(before, model):
    now, old = count(model), before[model]
    return Counted(now.input - old.input, now.cached - old.cached, now.output - old.output, now.busy)


if __name__ == "__main__":
    sys.exit(main())
