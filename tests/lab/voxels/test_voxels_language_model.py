"""A data set from a language model, asked over the real protocol from a small server on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runvet_lab.voxels import data, language_model
from runvet_lab.voxels.language_model import NoKey, Refused, audit, client, collect

GOOD = {
    "structure_name": "Wall",
    "prompt": "a low stone wall",
    "fills": [{"block": "stone", "from": [2, 0, 4], "to": [12, 3, 4]}],
}
FLOATING = {**GOOD, "fills": [*GOOD["fills"], {"block": "stone", "from": [0, 9, 0], "to": [1, 9, 1]}]}


class Server(ThreadingHTTPServer):
    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = list(answers), []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], asked))
        answer = self.server.answers.pop(0)
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
        }
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def served(monkeypatch):
    started = []

    def start(answers):
        server = Server(json.dumps(answer) if isinstance(answer, dict) else answer for answer in answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        monkeypatch.setenv(language_model.KEY, "key-of-the-test")
        return server, client(f"http://127.0.0.1:{server.server_port}/v1")

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_refused_answers_are_asked_again_with_the_reason(served, tmp_path):
    server, ask = served(["no json", FLOATING, GOOD])
    told = []
    spent, failed = collect(
        ask, tmp_path, ["a wall"], model="m", told=lambda done, spent: told.append((done, spent.requests))
    )
    assert (spent.requests, spent.refused, failed, told) == (3, 2, [], [(1, 3)])
    assert spent.cost(1.0, 2.0) == pytest.approx((300 + 2 * 150) / 1e6)
    read = data.read(tmp_path)
    assert (read.labels, read.prompts) == (("wall",), ("a low stone wall",))
    path, key, asked = server.requests[2]
    assert (path, key) == ("/v1/chat/completions", "Bearer key-of-the-test")
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert "float" in asked["messages"][-1]["content"]


def test_what_is_there_is_not_asked_for_again(served, tmp_path):
    _, ask = served([GOOD])
    collect(ask, tmp_path, ["a wall"], model="m")
    _, ask = served([GOOD, GOOD, GOOD])  # the same answer again is a duplicate, thrice
    spent, failed = collect(ask, tmp_path, ["a wall", "another wall"], model="m")
    assert (spent.requests, failed) == (3, ["another wall"])
    assert len(data.read(tmp_path)) == 1


def test_without_a_key_one_line_says_so(monkeypatch):
    monkeypatch.delenv(language_model.KEY, raising=False)
    with pytest.raises(NoKey, match="OPENAI_API_KEY"):
        client()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fills": []}, "0 fills"),
        ({"fills": [{"block": "gold", "from": [0, 0, 0], "to": [9, 0, 9]}]}, "gold"),
        ({"fills": [{"block": "stone", "from": [0, 0, 0], "to": [16, 0, 9]}]}, "not inside"),
        ({"fills": [{"block": "stone", "from": [0, 0, 0], "to": [1, 0, 0]}]}, "only 2 blocks"),
        ({"prompt": " "}, "must not be empty"),
    ],
)
def test_what_an_answer_must_hold(change, words):
    with pytest.raises(Refused, match=words):
        audit(json.dumps({**GOOD, **change}), "sample_0000", (16, 16, 16), set())
