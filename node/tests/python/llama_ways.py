"""Every way to ask a model for something, each a function of model and prompt that gives back what the answer told."""

import dataclasses
import os

import anthropic
import openai

from expect import equal

GATEWAY = os.environ["TEST_GATEWAY"]
MOST_TOKENS, LONG_TOKENS = 24, 800

openai_client = openai.OpenAI(api_key="unused", base_url=f"{GATEWAY}/v1", max_retries=0, timeout=60)
anthropic_client = anthropic.Anthropic(api_key="unused", base_url=GATEWAY, max_retries=0, timeout=60)


@dataclasses.dataclass
class Told:
    """What an answer said of itself; cached tokens are part of the input, chunks are those that carried text."""

    input: int | None
    cached: int
    output: int
    chunks: int = 0


def chat(model, prompt):
    return told_by_chat(ask_chat(model, prompt).usage)


def chat_streamed(model, prompt):
    """The client does not ask for usage, so it is told none; the gateway must know all the same."""
    chunks = list(ask_chat(model, prompt, stream=True))
    equal([chunk.usage for chunk in chunks if chunk.usage], [], "usage that was not asked for")


def chat_streamed_with_usage(model, prompt):
    chunks = list(ask_chat(model, prompt, stream=True, stream_options={"include_usage": True}))
    told = told_by_chat(chunks[-1].usage)
    told.chunks = sum(bool(carried_by_chat(chunk)) for chunk in chunks)
    return told


def completion(model, prompt):
    return told_by_chat(openai_client.completions.create(model=model, prompt=prompt, max_tokens=MOST_TOKENS).usage)


def completion_streamed(model, prompt):
    list(openai_client.completions.create(model=model, prompt=prompt, max_tokens=MOST_TOKENS, stream=True))


def response(model, prompt):
    return told_by_response(ask_response(model, prompt))


def response_streamed(model, prompt):
    return told_by_response(list(ask_response(model, prompt, stream=True))[-1].response)


def message(model, prompt):
    usage = ask_message(model, prompt).usage
    cached = usage.cache_read_input_tokens or 0
    return Told(usage.input_tokens + cached, cached, usage.output_tokens)


def message_streamed(model, prompt):
    told = Told(None, 0, 0)
    for event in ask_message(model, prompt, stream=True):
        if event.type == "message_start":
            told.cached = event.message.usage.cache_read_input_tokens or 0
            told.input = event.message.usage.input_tokens + told.cached
        elif event.type == "message_delta":
            told.output = event.usage.output_tokens
        elif event.type == "content_block_delta":
            told.chunks += 1
    return told


def embedding(model, prompt):
    usage = openai_client.embeddings.create(model=model, input=[prompt, "and another"]).usage
    return Told(usage.prompt_tokens, 0, 0)


def leave_chat(model, prompt, after_chunks):
    """Leaves a stream after so many chunks; gives back how many were read."""
    stream = ask_chat(model, prompt, max_tokens=LONG_TOKENS, stream=True)
    return leave(stream, carried_by_chat, after_chunks)


def leave_message(model, prompt, after_chunks):
    stream = ask_message(model, prompt, max_tokens=LONG_TOKENS, stream=True)
    return leave(stream, lambda event: event.type == "content_block_delta", after_chunks)


def leave(stream, carries, after_chunks):
    read = 0
    for chunk in stream:
        read += bool(carries(chunk))
        if read == after_chunks:
            break
    stream.close()
    return read


def ask_chat(model, prompt, **options):
    options = {"max_tokens": MOST_TOKENS, **options}
    return openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], **options)


def ask_message(model, prompt, **options):
    options = {"max_tokens": MOST_TOKENS, **options}
    return anthropic_client.messages.create(model=model, messages=[{"role": "user", "content": prompt}], **options)


def ask_response(model, prompt, **options):
    return openai_client.responses.create(model=model, input=prompt, max_output_tokens=MOST_TOKENS, **options)


def carried_by_chat(chunk):
    return chunk.choices and chunk.choices[0].delta.content


def told_by_chat(usage):
    details = usage.prompt_tokens_details
    return Told(usage.prompt_tokens, (details.cached_tokens or 0) if details else 0, usage.completion_tokens)


def told_by_response(answer):
    usage = answer.usage
    return Told(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens)
