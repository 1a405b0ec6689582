"""The endings of file names, by language: which language a file is in, and how a file of a language is called."""

from __future__ import annotations

from completer.syntax.languages import is_known

ENDINGS: dict[str, str] = {
    # The first ending is the one that a name gets; the others are as good.
    "abap": "abap", "ada": "adb ads", "astro": "astro", "bat": "bat cmd", "bibtex": "bib", "c": "c h",
    "clojure": "clj cljs cljc edn", "cmake": "cmake", "coffeescript": "coffee", "cpp": "cpp cc cxx hpp hh h hxx ipp inl",
    "crystal": "cr", "csharp": "cs csx", "css": "css", "cuda-cpp": "cu cuh", "cython": "pyx pxd pxi", "d": "d", "dart": "dart",
    "dockerfile": "dockerfile containerfile", "elixir": "ex exs", "elm": "elm", "erb": "erb", "erlang": "erl hrl",
    "fsharp": "fs fsi fsx", "fortran": "f90 f95 f03 f08 f for", "gdscript": "gd", "gleam": "gleam", "glsl": "glsl vert frag comp",
    "go": "go", "graphql": "graphql gql", "groovy": "groovy gradle", "haskell": "hs lhs", "hcl": "hcl", "hlsl": "hlsl",
    "html": "html htm xhtml", "ini": "ini cfg conf properties", "java": "java", "javascript": "js mjs cjs jsx",
    "javascriptreact": "jsx js", "json": "json", "jsonc": "jsonc json json5", "julia": "jl", "kotlin": "kt kts",
    "latex": "tex sty cls",
    "less": "less", "lua": "lua", "makefile": "mk make mak", "markdown": "md markdown mdx", "matlab": "m", "meson": "build",
    "nim": "nim nims", "nix": "nix", "objective-c": "m h", "objective-cpp": "mm h", "ocaml": "ml mli", "pascal": "pas pp",
    "perl": "pl pm t", "php": "php phtml", "powershell": "ps1 psm1 psd1", "prisma": "prisma", "proto": "proto", "proto3": "proto",
    "python": "py pyi pyw", "r": "R r", "razor": "cshtml razor", "restructuredtext": "rst", "ruby": "rb rake gemspec ru",
    "rust": "rs", "sass": "sass", "scala": "scala sc", "scheme": "scm ss", "scss": "scss", "shellscript": "sh bash zsh ksh",
    "sh": "sh bash", "bash": "sh bash", "solidity": "sol", "sql": "sql", "svelte": "svelte", "swift": "swift", "tcl": "tcl",
    "terraform": "tf tfvars", "toml": "toml", "typescript": "ts mts cts tsx", "typescriptreact": "tsx ts", "verilog": "v vh",
    "systemverilog": "sv svh", "vhdl": "vhd vhdl", "vb": "vb", "vue": "vue", "xml": "xml xsd xsl svg",
    "yaml": "yaml yml", "zig": "zig",
}  # fmt: skip
ALL_ENDINGS = frozenset(ending.lower() for endings in ENDINGS.values() for ending in endings.split())


def language_of_file(name: str) -> str:
    """Return the LSP language id of a file's ending; "plaintext" for one that no known language has."""
    return _KNOWN.get(name.rpartition(".")[2].lower(), "plaintext")


def _known() -> dict[str, str]:
    """Return the language of each ending: the first whose main ending it is, else the first that has it at all."""
    known = [(language_id, endings.split()) for language_id, endings in reversed(ENDINGS.items()) if is_known(language_id)]
    anywhere = {ending: language_id for language_id, endings in known for ending in endings}
    return anywhere | {endings[0]: language_id for language_id, endings in known}


_KNOWN = _known()
