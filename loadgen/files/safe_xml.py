"""Parses the XML of a file that readings come in, which may be damaged or meant to harm."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException, DTDForbidden, EntitiesForbidden
from defusedxml.ElementTree import parse

from loadgen.files.file_readings import MalformedFile


def parse_xml(path: Path) -> Element:
    """The root element. A document type is refused, and with it every entity that could blow up or fetch something.

    Raises:
        MalformedFile: the file is not well-formed or declares a document type; the text names the place.
    """
    try:
        root = parse(path, forbid_dtd=True).getroot()
    except ParseError as error:
        line, column = error.position
        raise MalformedFile(
            f"{path}, line {line}, column {column + 1}: not well-formed XML ({_cause(error)})"
        ) from error
    except DTDForbidden as error:
        raise MalformedFile(
            f"{path}, line {_line_of(path, b'<!DOCTYPE')}: declares the document type {error.name!r}; "
            "remove it, for no reading needs one and its entities can do harm"
        ) from error
    except (EntitiesForbidden, DefusedXmlException, ValueError, LookupError) as error:
        raise MalformedFile(f"{path}: cannot be read as XML ({error})") from error
    if root is None:
        raise MalformedFile(f"{path}: holds no XML element")
    return root


def local_name(element: Element) -> str:
    """The element's name without its namespace, so that prefixes and default namespaces look the same."""
    return element.tag.rpartition("}")[2]


def child(element: Element, name: str) -> Element | None:
    """The first child with this local name."""
    return next((each for each in element if local_name(each) == name), None)


def child_text(element: Element, name: str) -> str | None:
    """The text of the child with this local name, stripped; None when there is none or it is empty."""
    found = child(element, name)
    return None if found is None else (found.text or "").strip() or None


def _cause(error: ParseError) -> str:
    return str(error).partition(":")[0]


def _line_of(path: Path, needle: bytes) -> int:
    return path.read_bytes().partition(needle)[0].count(b"\n") + 1
