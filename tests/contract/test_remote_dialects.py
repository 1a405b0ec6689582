"""What each dialect sends and how it reads the answer, over real HTTP against scripted servers.

None of these servers is the real one, but for llama-server (test_remote_llama_server.py).
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from typing import Any

import pytest
from scripted_server import Answer, Script, lines, plain, serving, sse

from completer.engines.base import StreamEngine, StreamPiece, StreamRequest
from completer.engines.remote.bearer import Bearer
from completer.engines.remote.dialects import DIALECTS
from completer.engines.remote.engine import RemoteEngine
from completer.engines.remote.link import Link
from completer.engines.remote.probe import ask_server, has_vocabulary, measure_costs
from completer.errors import ConfigError, ServerError
from completer.tokens.tokenizer import Tokenizer

DEF, SPACE = "def", " "


def log_of(p: float) -> float:
    return math.log(p)


def bodies_of(tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """Return, for each dialect, the whole body of the same request; those that take ids were seen to share the vocabulary."""
    ids = [tokenizer.fim.prefix, *tokenizer.encode("x = "), tokenizer.fim.middle]
    format_ = tokenizer.fim.format
    text = f"{format_.prefix}x = {format_.middle}"
    end_ids = sorted(tokenizer.fim.end)
    openai = {"model": "m", "max_tokens": 7, "temperature": 0, "stream": True}
    texts = ["\n", *format_.end]
    return {
        "llama-server": {
            **{
                "prompt": ids,
                "n_predict": 7,
                "temperature": 0,
                "samplers": ["temperature"],
                "cache_prompt": True,
                "stream": True,
            },
            **{"return_tokens": True, "timings_per_token": True, "n_probs": 20, "stop": ["\n"], "t_max_predict_ms": 9000},
            "grammar": 'root ::= "a\\"é" [^\\x00]*',
        },
        "vllm": {
            **openai,
            **{"prompt": ids, "stop": ["\n"], "stop_token_ids": end_ids, "return_token_ids": True, "logprobs": 20},
            **{"return_tokens_as_token_ids": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        },
        "sglang": {
            **{"input_ids": ids, "stream": True, "return_logprob": True, "top_logprobs_num": 20},
            "sampling_params": {"max_new_tokens": 7, "temperature": 0, "stop": ["\n"], "stop_token_ids": end_ids},
        },
        "tensorrt-llm": {**openai, "prompt": text, "stop": texts[:4]},
        "openai": {**openai, "prompt": text, "stop": texts[:4], "logprobs": 5},
        "tgi": {
            **{"inputs": text, "stream": True},
            "parameters": {
                **{"max_new_tokens": 7, "do_sample": False, "return_full_text": False, "stop": texts[:4], "details": True},
                "top_n_tokens": 5,
            },
        },
        "ollama": {
            **{"model": "m", "prompt": text, "raw": True, "stream": True, "keep_alive": "30m", "logprobs": True},
            **{"top_logprobs": 20, "options": {"num_predict": 7, "temperature": 0, "stop": texts}},
        },
        "lmdeploy": {
            **{"input_ids": ids, "max_tokens": 7, "temperature": 0.0, "top_k": 1, "stop": ["\n"], "stop_token_ids": end_ids},
            "stream": True,
        },
    }


def answers_of(tokenizer: Tokenizer) -> dict[str, Answer]:
    """Return, for each dialect, "def " in two tokens with probabilities .5 and .25 (where it tells), ended by a line break."""
    (a, *_), (b, *_) = (tokenizer.encode(text) for text in (DEF, SPACE))
    half, quarter = log_of(0.5), log_of(0.25)

    def llama(text: str, id_: int, p: float, other: int) -> dict[str, Any]:
        top = [{"id": id_, "token": text, "logprob": p}, {"id": other, "token": "?", "logprob": log_of(0.125)}]
        probs = [{"id": id_, "token": text, "logprob": p, "top_logprobs": top}]
        return {"content": text, "tokens": [id_], "stop": False, "timings": {"cache_n": 3}, "completion_probabilities": probs}

    def openai(text: str, p: float, other: str, **more: Any) -> dict[str, Any]:
        logprobs = {"tokens": [text], "token_logprobs": [p], "top_logprobs": [{text: p, other: log_of(0.125)}]}
        return {"choices": [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": None, **more}]}

    def vllm(text: str, id_: int, p: float, other: int) -> dict[str, Any]:
        message = openai(f"token_id:{id_}", p, f"token_id:{other}", token_ids=[id_])
        message["choices"][0]["text"] = text
        return message | {"usage": {"prompt_tokens_details": {"cached_tokens": 3}}}

    def sglang(text: str, ids: list[int], ps: list[float], reason: Any) -> dict[str, Any]:
        logprobs = [[p, id_, None] for p, id_ in zip(ps, ids, strict=True)]
        tops = [[[p, id_, None], [log_of(0.125), a if id_ == b else b, None]] for p, id_ in zip(ps, ids, strict=True)]
        meta = {"completion_tokens": len(ids), "cached_tokens": 3, "finish_reason": reason}
        meta |= {"output_token_logprobs": logprobs, "output_top_logprobs": tops}
        return {"text": text, "output_ids": ids, "meta_info": meta}

    def tgi(text: str, p: float, other: str, details: Any) -> dict[str, Any]:
        top = [{"id": 1, "text": text, "logprob": p}, {"id": 2, "text": other, "logprob": log_of(0.125)}]
        return {"token": {"id": 9, "text": text, "logprob": p, "special": False}, "top_tokens": top, "details": details}

    def ollama(text: str, p: float, other: str) -> dict[str, Any]:
        top = [{"token": text, "logprob": p}, {"token": other, "logprob": log_of(0.125)}]
        return {"response": text, "done": False, "logprobs": [{"token": text, "logprob": p, "top_logprobs": top}]}

    ended = {"choices": [{"index": 0, "text": "", "finish_reason": "stop", "stop_reason": "\n"}]}
    return {
        "llama-server": sse(
            llama(DEF, a, half, b),
            llama(SPACE, b, quarter, a),
            {"content": "", "tokens": [], "stop": True, "stop_type": "word", "stopping_word": "\n", "timings": {"cache_n": 3}},
        ),
        "vllm": sse(vllm(DEF, a, half, b), vllm(SPACE, b, quarter, a), ended, done=True),
        "sglang": sse(
            sglang(DEF, [a], [half], None),
            sglang(DEF + SPACE, [a, b], [half, quarter], None),
            sglang(DEF + SPACE, [a, b], [half, quarter], {"type": "stop", "matched": "\n"}),
            done=True,
        ),
        "tensorrt-llm": sse({"choices": [{"text": DEF}]}, {"choices": [{"text": SPACE}]}, ended, done=True),
        "openai": sse(openai(DEF, half, SPACE), openai(SPACE, quarter, DEF), ended, done=True),
        "tgi": sse(tgi(DEF, half, SPACE, None), tgi(SPACE, quarter, DEF, {"finish_reason": "stop_sequence"})),
        "ollama": lines(
            ollama(DEF, half, SPACE), ollama(SPACE, quarter, DEF), {"response": "", "done": True, "done_reason": "stop"}
        ),
        "lmdeploy": sse(
            {"text": DEF, "output_ids": [a], "meta_info": {}},
            {"text": SPACE, "output_ids": [b], "meta_info": {"finish_reason": {"type": "stop"}}},
            done=True,
        ),
    }


TELLS_NO_PROBABILITY = {"tensorrt-llm", "lmdeploy"}


def engine_of(script: Script, dialect: str, tokenizer: Tokenizer) -> RemoteEngine:
    link = Link([script.url], Bearer(), session_header="X-Session-Id")
    return RemoteEngine(link, DIALECTS[dialect], "m", tokenizer, 2048, same_vocabulary=DIALECTS[dialect].takes_ids)


async def collect(engine: RemoteEngine, request: StreamRequest) -> list[StreamPiece]:
    async with aclosing(engine.stream(request)) as pieces:
        found = [piece async for piece in pieces]
    await engine.close()
    return found


def request_of(tokenizer: Tokenizer, **changes: Any) -> StreamRequest:
    ids = (tokenizer.fim.prefix, *tokenizer.encode("x = "), tokenizer.fim.middle or 0)
    values = {"n_predict": 7, "n_top": 20, "single_line": True, "session": "file:///secret/path.py", "deadline_s": 9.0}
    return StreamRequest(ids, **(values | changes))


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_dialect_sends_this_body_and_no_other(name: str, tokenizer: Tokenizer) -> None:
    dialect = DIALECTS[name]
    with serving(Script({dialect.path: lambda _: answers_of(tokenizer)[name]})) as script:
        engine = engine_of(script, name, tokenizer)
        assert isinstance(engine, StreamEngine)
        begins = 'a"é'.encode() if dialect.constrains else b""
        await collect(engine, request_of(tokenizer, begins_with=begins))
    ((path, headers, body),) = script.asked
    assert path == dialect.path
    assert body == bodies_of(tokenizer)[name]
    assert "secret" not in headers["X-Session-Id"]


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_dialect_reads_tokens_probabilities_and_the_end(name: str, tokenizer: Tokenizer) -> None:
    with serving(Script({DIALECTS[name].path: lambda _: answers_of(tokenizer)[name]})) as script:
        pieces = await collect(engine_of(script, name, tokenizer), request_of(tokenizer))
    assert tokenizer.bytes_of(id_ for piece in pieces for id_ in piece.ids) == b"def "
    assert pieces[-1].end is not None
    spoken = [piece for piece in pieces if piece.ids]
    if name in TELLS_NO_PROBABILITY:
        assert [piece.prob for piece in spoken] == [1.0, 1.0]
        return
    assert [piece.prob for piece in spoken] == pytest.approx([0.5, 0.25])
    for piece, other in zip(spoken, (SPACE, DEF), strict=True):
        assert [p for _, p in piece.top] == pytest.approx([piece.prob, 0.125])
        if name != "llama-server":
            assert tokenizer.bytes_of(piece.top[1][0]) == other.encode()
    if name in ("llama-server", "vllm", "sglang"):
        assert spoken[0].n_cached == 3


async def test_a_prefix_cache_is_warmed_with_as_few_tokens_as_the_server_allows(tokenizer: Tokenizer) -> None:
    wanted = {"llama-server": 0, "sglang": 0, "vllm": 1, "lmdeploy": 1, "ollama": 1, "tgi": 1, "openai": 1, "tensorrt-llm": 1}
    for name, dialect in DIALECTS.items():
        with serving(Script({dialect.path: lambda _, name=name: answers_of(tokenizer)[name]})) as script:
            await collect(engine_of(script, name, tokenizer), request_of(tokenizer, n_predict=0))
        body = script.asked[0][2]
        inner = body.get("sampling_params") or body.get("parameters") or body.get("options") or body
        keys = ("n_predict", "max_new_tokens", "max_tokens", "num_predict")
        assert next(inner[key] for key in keys if key in inner) == wanted[name]


async def test_text_of_a_document_is_never_a_special_token(tokenizer: Tokenizer) -> None:
    format_ = tokenizer.fim.format
    with serving(Script({"/v1/completions": lambda _: answers_of(tokenizer)["openai"]})) as script:
        ids = (tokenizer.fim.prefix, *tokenizer.encode(f"a{format_.middle}b"), tokenizer.fim.suffix)
        await collect(engine_of(script, "openai", tokenizer), StreamRequest(ids, 3))
    prompt = script.asked[0][2]["prompt"]
    assert prompt.startswith(f"{format_.prefix}a") and prompt.endswith(f"b{format_.suffix}")
    assert format_.middle not in prompt


async def test_characters_split_over_tokens_and_over_packets_arrive_whole(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("é漢😀")
    assert len(ids) > 3  # the tiny vocabulary has no such tokens: each is a byte
    messages = sse(*({"content": "", "tokens": [id_], "stop": False} for id_ in ids), {"stop": True, "stop_type": "eos"})
    whole = b"".join(chunk for chunk in messages.chunks if isinstance(chunk, bytes))
    cut = Answer([whole[i : i + 7] for i in range(0, len(whole), 7)])
    with serving(Script({"/completion": lambda _: cut})) as script:
        pieces = await collect(engine_of(script, "llama-server", tokenizer), request_of(tokenizer))
    assert tokenizer.text_of(id_ for piece in pieces for id_ in piece.ids) == "é漢😀"
    text = '{"choices":[{"text":"é漢😀"}]}'.encode()
    packets = [b"data: " + text[:22], text[22:24], text[24:], b"\n\ndata: [DONE]\n\n"]
    with serving(Script({"/v1/completions": lambda _: Answer(packets)})) as script:
        pieces = await collect(engine_of(script, "openai", tokenizer), request_of(tokenizer))
    assert tokenizer.text_of(id_ for piece in pieces for id_ in piece.ids) == "é漢😀"


async def test_the_chat_form_of_probabilities_is_read_too(tokenizer: Tokenizer) -> None:
    top = [{"token": DEF, "logprob": log_of(0.5)}, {"token": SPACE, "logprob": log_of(0.25)}]
    content = [{"token": DEF, "logprob": log_of(0.5), "top_logprobs": top}]
    messages = sse({"choices": [{"text": DEF, "logprobs": {"content": content}}]}, done=True)
    with serving(Script({"/v1/completions": lambda _: messages})) as script:
        (piece,) = await collect(engine_of(script, "openai", tokenizer), request_of(tokenizer))
    assert piece.prob == pytest.approx(0.5)
    assert [(tokenizer.bytes_of(ids), p) for ids, p in piece.top] == [(b"def", pytest.approx(0.5)), (b" ", pytest.approx(0.25))]


@pytest.mark.parametrize(
    ("owner", "name"), [("llamacpp", "llama-server"), ("vllm", "vllm"), ("sglang", "sglang"), ("me", "openai")]
)
async def test_the_server_says_what_it_speaks(owner: str, name: str) -> None:
    card = {"id": "Qwen/Qwen2.5-Coder-7B", "owned_by": owner, "max_model_len": 1234}
    props = {"default_generation_settings": {"n_ctx": 1024}}
    pages = {"/v1/models": lambda _: plain({"data": [card]}), "/props": lambda _: plain(props)}
    with serving(Script(pages)) as script:
        link = Link([script.url], Bearer())
        server = await ask_server(link, "auto", "qwen2.5-coder-7b")
        await link.close()
    assert (server.dialect.name, server.model) == (name, "Qwen/Qwen2.5-Coder-7B")
    assert server.max_len == (1024 if name == "llama-server" else 1234)


async def test_a_model_that_is_not_served_is_named_with_those_that_are() -> None:
    pages = {"/v1/models": lambda _: plain({"data": [{"id": "a"}, {"id": "b"}]})}
    with serving(Script(pages)) as script:
        link = Link([script.url], Bearer())
        with pytest.raises(ConfigError, match="set 'model' to one of a, b"):
            await ask_server(link, "auto", "starcoder2-3b")
        with pytest.raises(ConfigError, match="choose one of auto, llama-server"):
            await ask_server(link, "gopher", "auto")
        await link.close()


@pytest.mark.parametrize("agrees", [True, False])
async def test_ids_travel_only_to_a_server_that_cuts_text_alike(agrees: bool, tokenizer: Tokenizer) -> None:
    def tokens(body: Any) -> Answer:
        text = body["content"]
        ids = [tokenizer.fim.prefix] if text == tokenizer.fim.format.prefix else tokenizer.encode(text)
        return plain({"tokens": ids if agrees else [*ids, 0]})

    card = {"data": [{"id": "m", "owned_by": "llamacpp"}]}
    pages = {"/v1/models": lambda _: plain(card), "/props": lambda _: plain({}), "/tokenize": tokens}
    with serving(Script(pages)) as script:
        link = Link([script.url], Bearer())
        server = await ask_server(link, "auto", "auto")
        assert await has_vocabulary(link, server, tokenizer) is agrees
        await link.close()


async def test_costs_are_measured_on_prompts_that_no_cache_holds(tokenizer: Tokenizer) -> None:
    with serving(Script({"/v1/completions": lambda _: answers_of(tokenizer)["openai"]})) as script:
        engine = engine_of(script, "openai", tokenizer)
        costs = await measure_costs(engine, tokenizer)
        await engine.close()
    assert costs.cost(1) > 0 and costs.prefill_ms_per_token > 0
    prompts = [body["prompt"] for body in script.bodies("/v1/completions")]
    assert len(set(prompts)) == len(prompts)
    assert script.n_connections == 1  # they are kept


async def test_an_error_in_the_stream_is_told_without_the_prompt(tokenizer: Tokenizer) -> None:
    said = {"error": {"message": "KV space is exhausted", "input": "x = "}}
    with (
        serving(Script({"/completion": lambda _: sse(said)})) as script,
        pytest.raises(ServerError, match="KV space is exhausted") as raised,
    ):
        await collect(engine_of(script, "llama-server", tokenizer), request_of(tokenizer))
    assert "x = " not in str(raised.value)
    refused = {"detail": [{"msg": "Extra inputs are not permitted", "input": "x = "}]}
    with (
        serving(Script({"/completion": lambda _: plain(refused, 422)})) as script,
        pytest.raises(ServerError, match="HTTP 422 Extra inputs are not permitted") as raised,
    ):
        await collect(engine_of(script, "llama-server", tokenizer), request_of(tokenizer))
    assert "x = " not in str(raised.value)


async def test_leaving_a_stream_ends_it_at_the_server(tokenizer: Tokenizer) -> None:
    message = {"content": "a", "tokens": tokenizer.encode("a"), "stop": False}
    endless = Answer(chunk for _ in range(500) for chunk in (*sse(message).chunks, 0.01))
    with serving(Script({"/completion": lambda _: endless})) as script:
        engine = engine_of(script, "llama-server", tokenizer)
        async with aclosing(engine.stream(request_of(tokenizer))) as pieces:
            await anext(pieces)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if script.n_broken_off:
                break
        assert script.n_broken_off == 1
        await engine.close()
