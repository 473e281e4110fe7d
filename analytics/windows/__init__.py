"""The load of regions: closed windows from what is on record, live ones from the stream."""
