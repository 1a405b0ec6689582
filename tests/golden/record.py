"""Record what a model really writes at the marked cursors of `sources/`, as golden cases.

    python tests/golden/record.py MODEL.gguf [LANGUAGE ...]     record what is missing
    python tests/golden/record.py --expect                      take today's suggestions for what is expected

In a source each `⟦text⟧` is one cursor: its text is taken out, the model is asked to fill the gap (PSM order,
temperature 0), and its raw output becomes a case in `<language>.toml`. Cases that are there already keep their
expectation; a new one gets what `trim` makes of it today, to be read before it is committed. Needs the `xllamacpp`
package.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from golden_cases import HERE, Case, expected_now, marked_cursors, read_cases

MAX_TOKENS = 40


def main(model: str, languages: list[str]) -> None:
    server = _server(model)
    for source in sorted((HERE / "sources").iterdir()):
        if languages and source.stem not in languages:
            continue
        target = HERE / f"{source.stem}.toml"
        cases = {(case.source, case.mark): case for case in read_cases(target)} if target.exists() else {}
        for mark, (prefix, suffix) in enumerate(marked_cursors(source.read_text(encoding="utf-8"))):
            old = cases.get((source.name, mark))
            if old is not None and old.document == prefix + "‸" + suffix:
                continue
            raw, finished = _infill(server, prefix, suffix)
            case = Case(source.stem, prefix + "‸" + suffix, raw, None, "", finished, source.name, mark)
            cases[source.name, mark] = case.with_expected(expected_now(case))
        target.write_text("".join(_to_toml(cases[key]) for key in sorted(cases)), encoding="utf-8")


def expect() -> None:
    """Rewrite the expectations of all recorded cases; the difference is to be read."""
    for source in sorted((HERE / "sources").iterdir()):
        target = HERE / f"{source.stem}.toml"
        if target.exists():
            cases = [case.with_expected(expected_now(case)) for case in read_cases(target)]
            target.write_text("".join(map(_to_toml, cases)), encoding="utf-8")


def _server(model: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.verbosity = 2048, 1, 1, 0
    return xllamacpp.Server(params)


def _infill(server: Any, prefix: str, suffix: str) -> tuple[str, bool]:
    prompt = f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
    answer = server.handle_completions({"prompt": prompt, "max_tokens": MAX_TOKENS, "temperature": 0})
    answer = json.loads(answer) if isinstance(answer, str) else answer
    choice = answer["choices"][0]
    return choice["text"], choice["finish_reason"] == "stop"


def _to_toml(case: Case) -> str:
    before, after = case.document.split("‸")
    line = f"{before.rsplit(chr(10), 1)[-1]}‸{after.split(chr(10), 1)[0]}"
    parts = ["[[case]]", f'source = "{case.source}"', f"mark = {case.mark}", f"line = {_string(line)}"]
    parts += [f"raw = {_string(case.raw)}"]
    parts += [] if case.finished else ["finished = false"]
    parts += [] if case.expected is None else [f"expected = {_string(case.expected)}"]
    parts += [f"replaces = {_string(case.replaces)}"] if case.replaces else []
    return "\n".join(parts) + "\n\n"


def _string(text: str) -> str:
    if "'" not in text and "\n" not in text and text.isprintable():
        return f"'{text}'"
    if "'''" not in text and not text.endswith("'") and "\r" not in text and "\n" in text:
        return f"'''\n{text}'''"
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["--expect"]:
        expect()
    else:
        main(sys.argv[1], sys.argv[2:])
