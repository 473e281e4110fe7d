# Dumps the whole replica set as it is at the end of the dump, and keeps the newest archives.
set -eu
umask 077

for member in mongodb-2 mongodb-1 mongodb-0; do
  host=$member.mongodb.gridmesh-servers:27017
  # A secondary, so that the primary keeps its time for the services; the last one that is named, if there is none.
  state=$(mongosh --quiet --norc "mongodb://$host/?directConnection=true" --eval 'print(db.hello().secondary)') || continue
  [ "$state" = true ] && break
done

archive=/backups/$(date -u +%Y%m%dT%H%M%SZ).archive.gz
# Not as an argument, where every list of processes would show it.
printf 'password: "%s"\n' "$BACKUP_PASSWORD" >/tmp/mongodump.yaml
# The collections are read one after the other while they are written to; with the log of what happened meanwhile the
# restored ones are of one moment.
mongodump --config=/tmp/mongodump.yaml --host="$host" --username=backup --authenticationDatabase=admin \
  --oplog --gzip --archive="$archive.part"
# Whole or not there.
mv "$archive.part" "$archive"
rm -f /backups/*.part
find /backups -name '*.archive.gz' | sort | head -n "-$KEPT_ARCHIVES" | xargs -r rm --
ls -l /backups
