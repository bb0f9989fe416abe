"""Markdown to HTML that is safe to show: rendered, code highlighted, then cleaned by an allow-list.

HTML in the source is shown as text. The cleaner is a second wall: whatever a renderer lets through by mistake does not
reach a reader.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import nh3
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

#: Ids in a post begin with this, so that none can take the place of one of the page's own.
ID_PREFIX = "post-"

_FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}")

_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img"),
    *("h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "div", "span", "input", "label"),
}
_ATTRIBUTES = {
    "*": {"class"},
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start"},
    "pre": {"tabindex", "data-language"},
    "div": {"tabindex"},
    "input": {"type", "checked", "disabled"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}


def render(source: str) -> str:
    """The HTML of a post or a comment, headings from h2 on; safe to put into the page as it is."""
    dirty = _PARSER.render(source)
    return nh3.clean(
        dirty,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow ugc",
        attribute_filter=_filter_attribute,
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "id" and not value.startswith(ID_PREFIX):
        return None
    if name == "class":
        kept = [word for word in value.split() if word.startswith(("hl-", "md-"))]
        return " ".join(kept) or None
    if tag == "input" and name == "type" and value != "checkbox":
        return None
    return value


def _slug(text: str) -> str:
    return ID_PREFIX + (re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:60] or "section")


def _shift_headings(state: StateCore) -> None:
    """The page's own h1 is the post's title: a post's headings begin one level below it."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _align_by_class(state: StateCore) -> None:
    """Table cells are aligned by a class: the page's content security policy refuses style attributes."""
    for token in state.tokens:
        style = str(token.attrs.pop("style", "")) if token.type in ("th_open", "td_open") else ""
        if style:
            token.attrSet("class", f"md-{style.rpartition(':')[2]}")


def _fence(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    return _code(tokens[index].content, tokens[index].info)


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].attrSet("loading", "lazy")
    return self.image(tokens, index, options, env)


def _table_open(
    _self: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return '<div class="md-table" tabindex="0"><table>\n'


def _table_close(
    _self: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return "</table></div>\n"


def _code(content: str, info: str) -> str:
    found = _LANGUAGE.match(info.strip())
    language = found.group() if found else ""
    body = html.escape(content)
    if language:
        try:
            body = highlight(content, get_lexer_by_name(language, stripnl=False), _FORMATTER)
        except ClassNotFound:
            language = ""
    # Focusable, as what scrolls sideways must be reachable by keyboard.
    label = f' data-language="{html.escape(language)}"' if language else ""
    return f'<pre class="md-code" tabindex="0"{label}><code>{body}</code></pre>\n'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "typographer": False})
    parser.enable(["table", "strikethrough"])
    # The label gives each box its name.
    parser.use(tasklists_plugin, enabled=False, label=True)
    parser.use(anchors_plugin, max_level=6, slug_func=_slug)
    parser.core.ruler.push("shift_headings", _shift_headings)
    parser.core.ruler.push("align_by_class", _align_by_class)
    for name, rule in {
        "fence": _fence,
        "code_block": _fence,
        "image": _image,
        "table_open": _table_open,
        "table_close": _table_close,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


_PARSER = _parser()


def plain(source: str) -> str:
    """The words of Markdown alone, on one line: for lists, where `**` and `##` would be noise."""
    blocks = (token.children or [] for token in _PARSER.parse(source) if token.type == "inline")
    words = (" ".join("".join(_words(child) for child in children).split()) for children in blocks)
    return " ".join(filter(None, words))


def _words(token: Token) -> str:
    if token.type in ("text", "code_inline"):
        return token.content
    if token.type == "image":
        return token.content
    return " " if token.type in ("softbreak", "hardbreak") else ""
