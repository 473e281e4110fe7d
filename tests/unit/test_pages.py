"""The pages for people: their links lead somewhere, and the files that they speak of are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("analytics", "billing", "common", "gateway", "ingestion", "k8s", "loadgen", "protos", "tests")


def pages() -> list[str]:
    """Every page, by its path from the root."""
    found = [*ROOT.glob("*.md"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages_for_every_service_and_the_root() -> None:
    """So that the tests below have something to look at."""
    assert {"README.md", *(f"{name}/README.md" for name in ("gateway", "ingestion", "billing", "analytics"))} <= set(
        pages()
    )


@pytest.mark.parametrize("page", pages())
def test_links_between_pages_lead_to_a_file_and_a_heading(page: str) -> None:
    """As one who reads in a checkout follows them."""
    origin = ROOT / page
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", origin.read_text()):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (origin.parent / path).resolve() if path else origin
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", pages())
def test_files_of_the_project_that_a_page_names_exist(page: str) -> None:
    """Those that are written with their path from the root."""
    named = set(re.findall(rf"`((?:{'|'.join(_FOLDERS)})/[\w./-]+\w)`", (ROOT / page).read_text()))

    assert {path for path in named if not (ROOT / path).exists()} == set()
