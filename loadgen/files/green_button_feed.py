"""What a Green Button feed says about its interval readings: their blocks, types and usage points, tied by links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from loadgen.files.file_readings import MalformedFile
from loadgen.files.safe_xml import child_text, local_name, parse_xml
from loadgen.files.time_zone import LocalTimeParameters

ESPI_NAMESPACE = "http://naesb.org/espi"

_SUMMARIES = ("UsageSummary", "ElectricPowerUsageSummary")  # the newer name and the one before it
_RESOURCES = ("UsagePoint", "LocalTimeParameters", "MeterReading", "ReadingType", "IntervalBlock", *_SUMMARIES)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the feed with the links of its entry."""

    element: Element
    self_link: str
    up_link: str
    related_links: frozenset[str]
    title: str = ""

    @property
    def name(self) -> str:
        """How a person finds it in the file."""
        return self.self_link or "without a self link"


@dataclass(frozen=True, slots=True)
class TiedBlock:
    """An interval block with the type of its readings and, where that is known, its usage point."""

    element: Element
    reading_type: Resource
    usage_point: Resource | None


@dataclass(slots=True)
class Feed:
    """The resources of a feed by their name in ESPI, in the order of the file."""

    path: Path
    resources: dict[str, list[Resource]] = field(default_factory=lambda: {name: [] for name in _RESOURCES})

    def blocks(self) -> Iterator[TiedBlock]:
        """Every interval block.

        Raises:
            MalformedFile: the type of a block is not in the file, or links do not say which one it is.
        """
        for block in self.resources["IntervalBlock"]:
            meter_reading = _owner(block, self.resources["MeterReading"])
            usage_point = _owner(meter_reading or block, self.resources["UsagePoint"])
            yield TiedBlock(block.element, self._type_of(block, meter_reading), usage_point)

    def summaries(self) -> Iterator[tuple[Element, Resource | None]]:
        """Every usage summary with its usage point, where that is known."""
        for name in _SUMMARIES:
            for summary in self.resources[name]:
                yield summary.element, _owner(summary, self.resources["UsagePoint"])

    def local_times(self) -> list[LocalTimeParameters]:
        """The distinct local times that the file declares."""
        return list(dict.fromkeys(self._local_time(each) for each in self.resources["LocalTimeParameters"]))

    def _type_of(self, block: Resource, meter_reading: Resource | None) -> Resource:
        types = self.resources["ReadingType"]
        links = block.related_links | (meter_reading.related_links if meter_reading else frozenset())
        linked = [each for each in types if each.self_link in links] or types
        if len(linked) == 1:
            return linked[0]
        problem = "no ReadingType" if not linked else f"{len(linked)} ReadingTypes and no link that picks one"
        raise MalformedFile(f"{self.path}: {problem} for the IntervalBlock {block.name}; its unit is unknown")

    def _local_time(self, resource: Resource) -> LocalTimeParameters:
        element = resource.element
        try:
            return LocalTimeParameters(
                offset_seconds=int(child_text(element, "tzOffset") or ""),
                dst_offset_seconds=int(child_text(element, "dstOffset") or "0"),
                dst_start_rule=int(child_text(element, "dstStartRule") or "0", 16),
                dst_end_rule=int(child_text(element, "dstEndRule") or "0", 16),
                title=resource.title,
            )
        except ValueError as error:
            raise MalformedFile(f"{self.path}: LocalTimeParameters without valid numbers ({error})") from error


def read_feed(path: Path) -> Feed:
    """The feed in a file.

    Raises:
        MalformedFile: the file is not well-formed, or no Atom feed.
    """
    root = parse_xml(path)
    if local_name(root) != "feed":
        raise MalformedFile(f"{path}: the root element is {local_name(root)!r}, not the 'feed' of Green Button")
    feed = Feed(path)
    for entry in root:
        if local_name(entry) == "entry":
            for resource in _resources_of(entry):
                feed.resources[local_name(resource.element)].append(resource)
    return feed


def _resources_of(entry: Element) -> Iterator[Resource]:
    links = [(link.get("rel", ""), link.get("href", "")) for link in entry if local_name(link) == "link"]
    for content in entry:
        if local_name(content) != "content":
            continue
        for element in content:
            if local_name(element) in _RESOURCES:
                yield Resource(
                    element=element,
                    self_link=next((href for rel, href in links if rel == "self"), ""),
                    up_link=next((href for rel, href in links if rel == "up"), ""),
                    related_links=frozenset(href for rel, href in links if rel == "related" and href),
                    title=child_text(entry, "title") or "",
                )


def _owner(owned: Resource, owners: Iterable[Resource]) -> Resource | None:
    """The resource that this one belongs to: by its up link, by its owner's related link, or as the only one."""
    owners = list(owners)
    for owner in owners:
        below = owner.self_link and f"{owned.up_link}/".startswith(f"{owner.self_link}/")
        if below or (owned.up_link and owned.up_link in owner.related_links):
            return owner
    return owners[0] if len(owners) == 1 else None
