"""What the syntax and trimming code knows about each language, as data. To add one: docs/how-to/add-a-language.md.

The lexical part (quotes and comments) is enough to find strings and to balance brackets; the grammar part names
the node kinds of the official tree-sitter grammar. A language without an entry gets `PLAIN`. An entry made by
`replace` lists only how it differs from its relative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

_C_COMMENT = ("/*", "*/")
_CURLY = r"\{"
_NOTHING = r"(?!)"
"""Matches nowhere."""


class Interpolation(NamedTuple):
    """Code inside a string: `opener`, which holds one bracket, begins it in strings of `quote`.

    prefix: regular expression of what stands before the quote; "": anything.
    """

    quote: str
    opener: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    ids: LSP language ids.  grammar: (module, function) of its grammar package, or None.
    line_comments: regular expressions of what begins a comment that ends with the line; none begins with a letter.
    block_comments: (open, close) pairs.
    quotes: string delimiters, longest first.  multiline_quotes: those of them that may span lines.
    char_quote: a quote that is a literal only around one character (Rust, whose lifetimes use it alone).
    interpolations: code inside strings.  regexes: whether a "/" where no operand ends begins a regular expression.
    case_patterns: whether the branches of a `case` begin with a pattern and a ")" that closes nothing.
    brackets: whether brackets must balance in this language at all.
    statement_ends: characters of which one ends each statement of a program, or begins a block; "" for what is no program.
    opener: regular expression of a line end that opens a block.  indented: blocks end by indentation.
    enders: keywords that close a block (Ruby's `end`).
    indent: columns of one level of indentation by custom, 0: a tab. Files have their own way, which goes before this.
    tab_bodies: the lines of a block must begin with a tab, whatever the file does elsewhere (make).
    functions, types, imports, docstrings: node kinds; docstrings only where they are strings in the body.
    """

    ids: tuple[str, ...]
    grammar: tuple[str, str] | None = None
    line_comments: tuple[str, ...] = ()
    block_comments: tuple[tuple[str, str], ...] = ()
    quotes: tuple[str, ...] = ('"', "'")
    multiline_quotes: tuple[str, ...] = ()
    char_quote: str = ""
    interpolations: tuple[Interpolation, ...] = ()
    regexes: bool = False
    case_patterns: bool = False
    brackets: bool = True
    statement_ends: str = ";{}"
    opener: str = _CURLY
    indented: bool = False
    enders: tuple[str, ...] = ()
    indent: int = 4
    tab_bodies: bool = False
    import_line: str = r"import\b"
    functions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    docstrings: bool = False


PLAIN = Language(ids=(), line_comments=(), quotes=(), opener=r"[{:]")

_C_LIKE = Language(ids=(), line_comments=("//",), block_comments=(_C_COMMENT,))
_DATA = Language(ids=(), statement_ends="", quotes=(), indent=2, import_line=_NOTHING)
"""Files that are no programs."""

_JAVASCRIPT = replace(
    _C_LIKE,
    ids=("javascript", "javascriptreact"),
    indent=2,
    grammar=("tree_sitter_javascript", "language"),
    quotes=('"', "'", "`"),
    multiline_quotes=("`",),
    interpolations=(Interpolation("`", "${"),),
    regexes=True,
    import_line=r"import\b|export\b.*\bfrom\b",
    functions=(
        "function_declaration",
        "generator_function_declaration",
        "method_definition",
        "arrow_function",
        "function_expression",
        "method_signature",
        "abstract_method_signature",
        "function_signature",
    ),
    types=(
        "class_declaration",
        "abstract_class_declaration",
        "interface_declaration",
        "type_alias_declaration",
        "enum_declaration",
        "internal_module",
    ),
    imports=("import_statement",),
)
_JAVA = replace(
    _C_LIKE,
    ids=("java",),
    grammar=("tree_sitter_java", "language"),
    quotes=('"""', '"', "'"),
    multiline_quotes=('"""',),
    functions=("method_declaration", "constructor_declaration", "lambda_expression"),
    types=("class_declaration", "interface_declaration", "enum_declaration", "record_declaration"),
    imports=("import_declaration",),
)
_C = replace(
    _C_LIKE,
    ids=("c",),
    grammar=("tree_sitter_c", "language"),
    statement_ends=";{}#",
    import_line=r"#\s*include\b",
    functions=("function_definition",),
    types=("struct_specifier", "enum_specifier", "union_specifier", "type_definition"),
    imports=("preproc_include",),
)

LANGUAGES = (
    Language(
        ids=("python",),
        grammar=("tree_sitter_python", "language"),
        statement_ends="\n",
        line_comments=("#",),
        quotes=('"""', "'''", '"', "'"),
        multiline_quotes=('"""', "'''"),
        interpolations=tuple(Interpolation(quote, "{", r"(?i:f|fr|rf)") for quote in ('"""', "'''", '"', "'")),
        opener=r":",
        indented=True,
        import_line=r"(?:import|from)\b",
        functions=("function_definition",),
        types=("class_definition",),
        imports=("import_statement", "import_from_statement", "future_import_statement"),
        docstrings=True,
    ),
    _JAVASCRIPT,
    replace(_JAVASCRIPT, ids=("typescript",), grammar=("tree_sitter_typescript", "language_typescript")),
    replace(_JAVASCRIPT, ids=("typescriptreact",), grammar=("tree_sitter_typescript", "language_tsx")),
    replace(
        _C_LIKE,
        ids=("go",),
        indent=0,
        grammar=("tree_sitter_go", "language"),
        statement_ends="\n",
        quotes=('"', "'", "`"),
        multiline_quotes=("`",),
        functions=("function_declaration", "method_declaration", "func_literal"),
        types=("type_declaration",),
        imports=("import_spec",),
    ),
    replace(
        _C_LIKE,
        ids=("rust",),
        grammar=("tree_sitter_rust", "language"),
        quotes=('"',),
        multiline_quotes=('"',),
        char_quote="'",
        import_line=r"(?:pub\s+)?use\b",
        functions=("function_item", "function_signature_item", "closure_expression"),
        types=("struct_item", "enum_item", "trait_item", "impl_item", "mod_item", "type_item"),
        imports=("use_declaration",),
    ),
    _JAVA,
    _C,
    replace(
        _C,
        ids=("cpp", "cuda-cpp", "objective-cpp"),
        grammar=("tree_sitter_cpp", "language"),
        import_line=r"#\s*include\b|using\b|import\b",
        functions=("function_definition", "lambda_expression"),
        types=("class_specifier", "struct_specifier", "enum_specifier", "namespace_definition"),
        imports=("preproc_include", "using_declaration"),
    ),
    replace(
        _JAVA,
        ids=("csharp",),
        grammar=("tree_sitter_c_sharp", "language"),
        interpolations=(Interpolation('"', "{", r"\$@?|@\$"),),
        import_line=r"using\b",
        functions=(
            "method_declaration",
            "constructor_declaration",
            "local_function_statement",
            "lambda_expression",
            "property_declaration",
        ),
        types=(
            "class_declaration",
            "interface_declaration",
            "struct_declaration",
            "record_declaration",
            "enum_declaration",
            "namespace_declaration",
        ),
        imports=("using_directive",),
    ),
    Language(
        ids=("ruby",),
        indent=2,
        grammar=("tree_sitter_ruby", "language"),
        statement_ends="\n",
        line_comments=("#",),
        multiline_quotes=('"', "'"),
        interpolations=(Interpolation('"', "#{"),),
        regexes=True,
        opener=r"(?:\{|\bdo|\bthen|\belse|\bbegin|\bensure)(?:\s*\|[^|]*\|)?"
        r"|^\s*(?:def|class|module|if|unless|elsif|while|until|for|case|when|rescue)\b.*",
        enders=("end",),
        import_line=r"(?:require|require_relative|load)\b",
        functions=("method", "singleton_method"),
        types=("class", "module"),
    ),
    Language(
        ids=("php",),
        grammar=("tree_sitter_php", "language_php"),
        line_comments=("//", r"#(?!\[)"),
        block_comments=(_C_COMMENT,),
        multiline_quotes=('"', "'"),
        interpolations=(Interpolation('"', "{$"), Interpolation('"', "${")),
        import_line=r"(?:use|require|require_once|include|include_once)\b",
        functions=("function_definition", "method_declaration", "anonymous_function", "arrow_function"),
        types=("class_declaration", "interface_declaration", "trait_declaration", "enum_declaration"),
        imports=("namespace_use_declaration",),
    ),
    Language(
        ids=("shellscript", "bash", "sh"),
        indent=2,
        grammar=("tree_sitter_bash", "language"),
        statement_ends="\n",
        line_comments=(r"(?<!\S)#",),
        multiline_quotes=('"', "'"),
        interpolations=(Interpolation('"', "$("), Interpolation('"', "${")),
        case_patterns=True,
        opener=r"(?:\{|\bthen|\bdo|\belse)|\bin",
        enders=("fi", "done", "esac"),
        import_line=r"(?:source|\.)\s",
        functions=("function_definition",),
    ),
    Language(
        ids=("lua",),
        grammar=("tree_sitter_lua", "language"),
        statement_ends="\n",
        line_comments=("--",),
        block_comments=(("--[[", "]]"),),
        quotes=("[[", '"', "'"),
        multiline_quotes=("[[",),
        opener=r"(?:\{|\bthen|\bdo|\belse|\brepeat)|\bfunction\b[^()]{0,200}\([^()]*\)",
        enders=("end", "until"),
        import_line=r"local\s+\w+\s*=\s*require\b",
        functions=("function_declaration", "function_definition"),
    ),
    replace(
        _DATA,
        ids=("html", "vue", "svelte"),
        grammar=("tree_sitter_html", "language"),
        block_comments=(("<!--", "-->"),),
        opener=r"<[A-Za-z][^<>/]*>",
    ),
    Language(
        ids=("css", "scss", "less"),
        indent=2,
        grammar=("tree_sitter_css", "language"),
        statement_ends="",
        block_comments=(_C_COMMENT,),
        import_line=r"@(?:import|use)\b",
        imports=("import_statement",),
    ),
    replace(
        _DATA,
        ids=("json", "jsonc"),
        grammar=("tree_sitter_json", "language"),
        line_comments=("//",),
        block_comments=(_C_COMMENT,),
        quotes=('"',),
        opener=r"[{\[]",
    ),
    replace(
        _DATA,
        ids=("yaml",),
        grammar=("tree_sitter_yaml", "language"),
        line_comments=(r"(?<!\S)#",),
        opener=r":(?:\s*[|>][+-]?)?",
        indented=True,
    ),
    replace(
        _DATA,
        ids=("toml",),
        grammar=("tree_sitter_toml", "language"),
        line_comments=("#",),
        quotes=('"""', "'''", '"', "'"),
        multiline_quotes=('"""', "'''"),
        opener=r"\[",
    ),
    Language(
        ids=("makefile",),
        statement_ends="",
        line_comments=(r"(?<!\S)#",),
        quotes=(),  # an apostrophe in `@echo don't` is the business of the shell
        opener=r"^[^\s#:=][^#:=]*::?(?![:=])[^#=]*",
        indented=True,
        indent=0,
        tab_bodies=True,
        import_line=r"-?include\b",
    ),
    replace(
        _DATA,
        ids=("markdown",),
        grammar=("tree_sitter_markdown", "language"),
        brackets=False,
        opener=_NOTHING,
    ),
)

_BY_ID = {language_id: language for language in LANGUAGES for language_id in language.ids}


def is_known(language_id: str) -> bool:
    """Whether there is an entry for an LSP language id."""
    return language_id in _BY_ID


def language(language_id: str) -> Language:
    """Return the entry for an LSP language id; `PLAIN` for one that is not known."""
    return _BY_ID.get(language_id, PLAIN)
