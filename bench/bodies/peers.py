"""llama.cpp asked for a body: the same model file, greedy, in three forms of the prompt.

fim          fill-in-the-middle with all that follows, as editors' plug-ins ask
left         left to right: what is before the cursor, without special tokens
left-margin  the same without the four spaces at the cursor, which it has to write itself: its best form, as it heals nothing
"""

from __future__ import annotations

from time import perf_counter

from bench.bodies.case import INDENT
from bench.client import Json
from bench.places.case import Case
from bench.places.peers import MAX_BEFORE, Psm
from bench.places.visit import Reply

N_PREDICT = 128
STOPS = ["\ndef ", "\nclass ", "\nif __name__", "\nprint(", "\nassert ", "\n#", "\n@", "\n```", "\n\n\n"]


class Bodies(Psm):
    """`/completion` at an empty body. Each visit is cold."""

    STATES = ("fim", "left", "left-margin")

    async def visit(self, case: Case, state: str) -> dict[str, Reply]:
        """Ask once. Raises: PeerError."""
        if state == "fim":
            prompt = await self.prompt(case)
        else:
            before = case.prefix if state == "left" else case.prefix.removesuffix(INDENT)
            prompt = (await self._tokens(before))[-MAX_BEFORE:]
        body: Json = {
            "prompt": prompt,
            "n_predict": N_PREDICT,
            "temperature": 0.0,
            "stop": STOPS,
            "cache_prompt": False,
            "id_slot": 0,
        }
        begun = perf_counter()
        text = str((await self._server.post("/completion", body)).get("content", ""))
        ms = (perf_counter() - begun) * 1e3
        return {state: Reply(text.removeprefix(INDENT) if state == "left-margin" else text, ms)}
