"""A logical backup of a database as mongodump lays it out, for a machine without it: `NAME.bson`, `NAME.metadata.json`.

It reads one collection after the other and has no log of what happens meanwhile, so nobody may write while it is made.
"""

from pathlib import Path
from typing import Any

from bson import decode_all, json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from common.mongo import Database

_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_BATCH = 500


async def dump_store(database: Database, folder: Path) -> dict[str, int]:
    """Writes every collection with its indexes into an empty folder; returns how many documents each had."""
    counts = {}
    for name in sorted(await database.list_collection_names()):
        collection = database.get_collection(name, codec_options=_RAW)
        counts[name] = 0
        with (folder / f"{name}.bson").open("wb") as file:
            async for document in collection.find():
                file.write(document.raw)
                counts[name] += 1
        indexes = [index async for index in database[name].list_indexes()]
        (folder / f"{name}.metadata.json").write_text(json_util.dumps({"indexes": indexes}))
    return counts


async def restore_store(folder: Path, database: Database) -> dict[str, int]:
    """Puts a dump into a database that has no collections; returns how many documents each collection got."""
    assert await database.list_collection_names() == []
    return {name: await _restore(folder, database, name) for name in _names(folder)}


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.bson"))


async def _restore(folder: Path, database: Database, name: str) -> int:
    await database.create_collection(name)
    indexes = json_util.loads((folder / f"{name}.metadata.json").read_text())["indexes"]
    wanted = [{key: value for key, value in index.items() if key not in {"ns", "v"}} for index in indexes]
    if further := [index for index in wanted if index["name"] != "_id_"]:
        await database.command("createIndexes", name, indexes=further)
    documents: list[Any] = decode_all((folder / f"{name}.bson").read_bytes(), _RAW)
    collection = database.get_collection(name, codec_options=_RAW)
    for first in range(0, len(documents), _BATCH):
        await collection.insert_many(documents[first : first + _BATCH])
    return len(documents)
