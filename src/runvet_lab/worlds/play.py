"""Ways to play: a page on this machine, the terminal, a script of keys into a GIF."""

from __future__ import annotations

import io
import select
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from runvet_lab.base.extra import need
from runvet_lab.worlds.adventure import Frame
from runvet_lab.worlds.pictures import write_gif
from runvet_lab.worlds.player import KEYS, Player

PAGE = Path(__file__).with_name("play.html")
ARROWS = {"[A": "up", "[B": "down", "[C": "right", "[D": "left"}
POLICY = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' blob:"


def serve(player: Player, port: int = 0) -> ThreadingHTTPServer:
    """A server on the loopback address; call `serve_forever`. Port 0 takes a free one."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._foreign():
                return
            if urlsplit(self.path).path == "/":
                self._send(200, "text/html; charset=utf-8", PAGE.read_bytes())
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            if self._foreign():
                return
            parts = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
            try:
                with lock:
                    if parts.path == "/step":
                        frame = player.step(asked.get("action", "noop"))
                    elif parts.path == "/restart":
                        frame = player.restart(int(asked.get("seed", "0")))
                    else:
                        self.send_error(404)
                        return
                    speed = player.speed
            except ValueError:
                self.send_error(400)
                return
            self._send(200, "image/png", png(frame), {"X-Frames-Per-Second": f"{speed:.1f}"})

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
            """Say nothing."""

        def _foreign(self) -> bool:
            """Answer 403 to a page of another site that has this address under its own name."""
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            origin = self.headers.get("Origin")
            allowed = host in ("127.0.0.1", "localhost")
            if allowed and (origin is None or urlsplit(origin).netloc == self.headers.get("Host")):
                return False
            self.send_error(403)
            return True

        def _send(self, code: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(code)
            held = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            for key, value in {**held, "Content-Security-Policy": POLICY, **(more or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def png(frame: Frame) -> bytes:
    """A frame as a PNG file."""
    held = io.BytesIO()
    need("PIL.Image").fromarray(frame).save(held, "PNG")
    return held.getvalue()


def scripted(player: Player, keys: str, gif: Path, *, fps: float = 8.0) -> int:
    """Play keys of `u d l r .` and write the walk; how many frames. Raises ValueError for other keys."""
    unknown = sorted(set(keys) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown keys {' '.join(unknown)}; known are {' '.join(KEYS)}")
    frames = [player.restart(), *(player.step(KEYS[key]) for key in keys)]
    write_gif(gif, frames, fps=fps)
    return len(frames)


def half_blocks(frame: Frame) -> str:
    """A frame as terminal text, two pixels a character."""
    lines = []
    for above, below in zip(frame[::2], frame[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m▀" for a, b in zip(above, below, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def terminal(player: Player, say: Callable[[str], object], fps: float = 10.0) -> None:
    """Play with arrow keys until q. Raises ValueError where there is no terminal."""
    if not sys.stdin.isatty():
        raise ValueError("--terminal needs a terminal; --script plays without one")
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    frame = player.restart()
    try:
        tty.setcbreak(handle)
        say("\x1b[2J")
        while True:
            say(f"\x1b[H{half_blocks(frame)}\n{player.speed:5.1f} frames/s   arrows move, q ends")
            key = sys.stdin.read(1) if select.select([sys.stdin], [], [], 1 / fps)[0] else ""
            if key == "q":
                return
            frame = player.step(ARROWS.get(sys.stdin.read(2), "noop") if key == "\x1b" else "noop")
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
