"""Files of any format: the first bytes tell which."""

from exporter.datastores.backups.formats.files import backups_of, item_of
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Found, Look, Verdict


async def read(look: Look) -> Found:
    """Read a set whose files may be of any format."""
    found = await listed(look)
    return await backups_of(look, [item_of(look, entry, verify) for entry in found.entries])


async def verify(_look: Look, _sample: Sample) -> Verdict:
    return Verdict()
