"""A real llama.cpp server on a free loopback port, over a model that is made here: tiny, random, the same every time.

    python llama_server.py FOLDER chat          chat, completions, responses, messages
    python llama_server.py FOLDER embeddings    embeddings, by mean pooling

Its answers mean nothing, but its token counts, its prefix cache and its /metrics are those of the real thing. It says
`llama.cpp on http://127.0.0.1:PORT` when it listens, and runs until it is ended.
"""

import pathlib
import signal
import sys

import gguf
import numpy
import xllamacpp

MODEL_NAME = "tiny-random"
SEED = 20261122
# Small enough to be made in a second; the head's size must be even for the rotary embedding.
WIDTH, LAYERS, HEADS, HIDDEN = 64, 2, 4, 128
CONTEXT_TOKENS, SLOTS = 2048, 8
# A space in front of a word is part of it, written the way SentencePiece does.
SPACE = "\u2581"
WORDS = "and are as at but by for from has have in is it not of on or that the their they this to was were what with you"
# One line a message, so that prompts have a length that can be predicted.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{ message.role }}: {{ message.content }}\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}assistant: {%- endif -%}"
)


def main(folder, role):
    model = pathlib.Path(folder) / f"{role}.gguf"
    write_model(str(model))
    server = xllamacpp.Server(parameters(str(model), role))
    print(f"llama.cpp on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def parameters(model, role):
    """One thread: many small servers share the machine with the test."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1
    params.endpoint_metrics = True
    params.warmup = False
    if role == "embeddings":
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return params


def tokens():
    """The vocabulary: control tokens, one token for each byte, so that any text can be cut, and some words."""
    kinds = gguf.TokenType
    yield "<unk>", kinds.UNKNOWN
    yield "<s>", kinds.CONTROL
    yield "</s>", kinds.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", kinds.BYTE
    printable = [chr(code) for code in range(0x21, 0x7F)]
    for text in [SPACE, *printable, *(SPACE + word for word in WORDS.split())]:
        yield text, kinds.NORMAL


def write_model(path):
    """A llama of random weights: normal noise, narrow where it would blow up, wide where words are told apart."""
    texts, kinds = zip(*tokens())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(MODEL_NAME)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text.encode() for text in texts])
    writer.add_token_types(list(kinds))
    # Longer tokens are preferred where several fit.
    writer.add_token_scores([float(len(text)) for text in texts])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, shape, spread in weights(len(texts)):
        writer.add_tensor(name, drawn(name, shape, spread))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(vocabulary):
    """Each tensor's name, shape and spread; no spread: all ones, as norms begin."""
    yield "token_embd.weight", (vocabulary, WIDTH), 1.0
    yield "output_norm.weight", (WIDTH,), None
    yield "output.weight", (vocabulary, WIDTH), 0.3
    for layer in range(LAYERS):
        for name, shape in (
            ("attn_q", (WIDTH, WIDTH)),
            ("attn_k", (WIDTH, WIDTH)),
            ("attn_v", (WIDTH, WIDTH)),
            ("attn_output", (WIDTH, WIDTH)),
            ("ffn_gate", (HIDDEN, WIDTH)),
            ("ffn_up", (HIDDEN, WIDTH)),
            ("ffn_down", (WIDTH, HIDDEN)),
        ):
            yield f"blk.{layer}.{name}.weight", shape, 0.05
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (WIDTH,), None


def drawn(name, shape, spread):
    """The tensor: its name and the seed decide it, whatever the order of drawing."""
    if spread is None:
        return numpy.ones(shape, numpy.float32)
    dice = numpy.random.default_rng([SEED, *name.encode()])
    return (dice.standard_normal(shape) * spread).astype(numpy.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
