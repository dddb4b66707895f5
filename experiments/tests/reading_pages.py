"""A page as its reader sees it: the texts of a table, the links, the words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from django.http import HttpResponse

# Elements without an end tag.
VOID = {"area", "br", "hr", "img", "input", "link", "meta", "path", "rect", "circle", "use"}
UNREAD = {"script", "style", "title"}
APART = {"li", "td", "th", "dt", "dd", "p", "div", "h1", "h2", "h3", "h4", "option", "pre"}


@dataclass
class Element:
    """An element of the page, with the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Every element of this tag within, with these attributes; `class_` matches one class."""
        found = []
        for element in self.inside:
            if element.tag == tag and element.has(attributes):
                found.append(element)
            found += element.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} × {tag} {attributes}"
        return found[0]

    def has(self, attributes: dict[str, str]) -> bool:
        for name, value in attributes.items():
            own = self.attributes.get(name.rstrip("_").replace("_", "-"))
            if value != own and not (name == "class_" and value in (own or "").split()):
                return False
        return True

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]


class Reader(HTMLParser):
    """Builds the tree of elements; an end tag that fits nothing is a fault of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        element = self.open.pop()
        assert element.tag == tag, f"</{tag}> ends <{element.tag}> {element.attributes}"
        if tag not in UNREAD:
            self.open[-1].text += element.text + (" " if tag in APART else "")

    def handle_data(self, data):
        self.open[-1].text += data


def page_of(response: HttpResponse, status: int = 200) -> Element:
    """The elements of a response with this status."""
    assert response.status_code == status, response.content[:500]
    reader = Reader()
    reader.feed(response.content.decode())
    assert len(reader.open) == 1, f"unclosed: {[element.tag for element in reader.open]}"
    return reader.open[0]


def table_of(page: Element) -> list[dict[str, str]]:
    """The rows of the page's only table, by column."""
    head, *rows = page.one("table").all("tr")
    names = [cell.words for cell in head.inside]
    return [dict(zip(names, [c.words for c in row.inside], strict=True)) for row in rows]


def link(page: Element, words: str) -> str:
    """Where the link with these words leads."""
    found = [element["href"] for element in page.all("a") if element.words == words]
    assert len(set(found)) == 1, f"{words!r} leads to {found}"
    return found[0]
