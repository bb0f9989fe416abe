"""The page's words in Korean and English, and which of the two a reader gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

LANGUAGES: Final = ("ko", "en")
DEFAULT: Final = "en"
COOKIE: Final = "lang"

_COOKIE = re.compile(rb"(?:^|;\s*)lang=(ko|en)(?:;|$)")
_RANGE = re.compile(rb"\s*([A-Za-z*]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=\s*([01](?:\.[0-9]{0,3})?))?\s*")

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "site": ("Titanium", "Titanium"),
    "tagline": ("만들고, 고치고, 배운 것을 적습니다.", "Notes on building, breaking and mending things."),
    "skip": ("본문으로 건너뛰기", "Skip to content"),
    "search": ("검색", "Search"),
    "search_hint": ("글 검색", "Search posts"),
    "clear": ("검색 지우기", "Clear search"),
    "write": ("글쓰기", "Write"),
    "drafts": ("임시글", "Drafts"),
    "sign_in": ("로그인", "Log in"),
    "sign_up": ("가입하기", "Sign up"),
    "sign_out": ("로그아웃", "Log out"),
    "account": ("내 계정", "Account"),
    "theme": ("밝은 화면과 어두운 화면 바꾸기", "Switch between light and dark"),
    "language": ("English", "한국어"),
    "categories": ("카테고리", "Categories"),
    "all": ("전체", "All"),
    "count": ("{n}개의 글", "{n} posts"),
    "count_one": ("글 하나", "1 post"),
    "found": ("‘{q}’ 검색 결과 {n}개", "{n} results for “{q}”"),
    "found_one": ("‘{q}’ 검색 결과 1개", "1 result for “{q}”"),
    "found_none": ("‘{q}’에 대한 글이 없습니다", "Nothing found for “{q}”"),
    "found_none_hint": ("낱말을 줄이거나 바꾸어 보세요.", "Try fewer words, or different ones."),
    "empty": ("아직 글이 없습니다", "Nothing here yet"),
    "empty_hint": ("첫 글을 써 보세요.", "Be the first to write something."),
    "write_first": ("첫 글 쓰기", "Write the first post"),
    "show_all": ("모든 글 보기", "See all posts"),
    "pages": ("페이지", "Pages"),
    "newer": ("새 글", "Newer"),
    "older": ("이전 글", "Older"),
    "page_n": ("{n}쪽", "Page {n}"),
    "minutes": ("읽는 데 {n}분", "{n} min read"),
    "updated": ("{date} 고침", "Edited {date}"),
    "edit": ("고치기", "Edit"),
    "delete": ("지우기", "Delete"),
    "cancel": ("취소", "Cancel"),
    "back": ("모든 글", "All posts"),
    "comments": ("댓글", "Comments"),
    "comments_none": ("아직 댓글이 없습니다.", "No comments yet."),
    "comments_more": ("다음 댓글", "More comments"),
    "comments_first": ("처음 댓글부터", "From the first comment"),
    "comment_label": ("댓글 쓰기", "Write a comment"),
    "comment_hint": ("마크다운을 쓸 수 있습니다.", "Markdown works here."),
    "comment_send": ("댓글 남기기", "Post comment"),
    "comment_sign_in": ("로그인하고 댓글을 남겨 보세요.", "Log in to leave a comment."),
    "missing": ("찾는 페이지가 없습니다", "There is nothing at this address"),
    "missing_hint": (
        "주소가 바뀌었거나 글이 지워졌을 수 있습니다.",
        "The address may have a typo, or the post was removed.",
    ),
    "new_post": ("새 글", "New post"),
    "edit_post": ("글 고치기", "Edit post"),
    "title": ("제목", "Title"),
    "title_hint": ("제목을 입력하세요", "Give it a title"),
    "category": ("카테고리", "Category"),
    "category_hint": ("고르거나 새로 만들기", "Choose or make one"),
    "content": ("본문", "Text"),
    "content_hint": ("마크다운으로 이야기를 적어 보세요…", "Tell your story in Markdown…"),
    "preview": ("미리보기", "Preview"),
    "preview_empty": ("쓰는 대로 여기에 보입니다.", "What you write appears here."),
    "publish": ("발행하기", "Publish"),
    "save": ("저장하기", "Save"),
    "save_draft": ("임시 저장", "Save draft"),
    "tools": ("서식", "Formatting"),
    "bold": ("굵게", "Bold"),
    "italic": ("기울임", "Italic"),
    "heading": ("제목", "Heading"),
    "link": ("링크", "Link"),
    "code": ("코드", "Code"),
    "quote": ("인용", "Quote"),
    "list": ("목록", "List"),
    "rescue": ("저장하지 않은 글이 남아 있습니다.", "There is unsaved text from your last visit."),
    "restore": ("되살리기", "Restore"),
    "discard": ("버리기", "Discard"),
    "conflict": ("그동안 글이 바뀌었습니다", "This post was changed meanwhile"),
    "conflict_hint": (
        "다른 곳에서 저장한 판이 있습니다. 내가 쓴 글은 그대로 여기에 있습니다.",
        "A newer version was saved elsewhere. What you wrote is still here, nothing is lost.",
    ),
    "keep_mine": ("내 글로 덮어쓰기", "Overwrite with mine"),
    "take_theirs": ("저장된 판 불러오기", "Load the saved version"),
    "drafts_none": ("임시글이 없습니다", "No drafts"),
    "drafts_hint": (
        "쓰다가 ‘임시 저장’을 누르면 여기에 모입니다. 나만 볼 수 있습니다.",
        "“Save draft” keeps unfinished posts here. Only you can see them.",
    ),
    "username": ("사용자 이름", "Username"),
    "email": ("이메일", "E-mail"),
    "password": ("비밀번호", "Password"),
    "password_hint": ("여덟 글자 이상", "At least 8 characters"),
    "sign_in_title": ("다시 만나 반갑습니다", "Welcome back"),
    "sign_up_title": ("함께 써요", "Join and write"),
    "no_account": ("아직 계정이 없나요?", "No account yet?"),
    "have_account": ("이미 계정이 있나요?", "Already have an account?"),
    "need_sign_in": ("글을 쓰려면 로그인이 필요합니다.", "Please log in to write."),
    "no_script": (
        "읽기와 검색은 그대로 됩니다. 쓰려면 브라우저에서 스크립트를 켜 주세요.",
        "Reading and searching work as they are. Writing needs scripts turned on in your browser.",
    ),
    "unavailable": ("잠시 글을 가져올 수 없습니다", "Posts can’t be loaded right now"),
    "unavailable_hint": ("곧 다시 시도해 주세요.", "Please try again in a moment."),
    "try_again": ("다시 시도", "Try again"),
    "made_with": ("Titanium 위에서 돌아갑니다", "Runs on Titanium"),
}


class Words:
    """The words of one language, by name."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._index = LANGUAGES.index(language)

    def __call__(self, name: str, **values: object) -> str:
        """The words called `name`, with `values` put in."""
        text = _WORDS[name][self._index]
        return text.format(**values) if values else text

    def counted(self, name: str, number: int, **values: object) -> str:
        """The words called `name` for a number; `name_one` for exactly one."""
        chosen = f"{name}_one" if number == 1 and f"{name}_one" in _WORDS else name
        return self(chosen, n=self.number(number), **values)

    @staticmethod
    def number(number: int) -> str:
        """A number as it is written in both languages: 12,345."""
        return f"{number:,}"

    def date(self, moment: datetime) -> str:
        """A day, in UTC, as it is written in the language."""
        if self.language == "ko":
            return f"{moment.year}년 {moment.month}월 {moment.day}일"
        return f"{moment:%B} {moment.day}, {moment.year}"


WORDS: Final = {language: Words(language) for language in LANGUAGES}


def choose_language(cookie: bytes, accept_language: bytes) -> str:
    """The language for a reader: the one they chose, or the one that their browser prefers.

    Parameters:
        cookie: the Cookie header.
        accept_language: the Accept-Language header.
    """
    if chosen := _COOKIE.search(cookie):
        return chosen[1].decode()
    best, best_quality = DEFAULT, 0.0
    for part in accept_language[:200].split(b","):
        if not (match := _RANGE.fullmatch(part)):
            continue
        language, quality = match[1].decode().lower(), float(match[2] or 1)
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best
