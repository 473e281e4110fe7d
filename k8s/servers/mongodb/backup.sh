# Dumps the whole replica set as it is at the end of the dump, and keeps the newest archives.
set -eu
umask 077

# Archives with readings, the oldest first. One of a store that had none has another name: it never takes the place of these.
good() { find /backups -name '*Z.archive.gz' | sort; }

# Held for as long as this runs: another one would take the file that is written here for one that was left.
exec 9</backups
flock --nonblock 9 || { echo "another backup is running"; exit 1; }
# Of a dump that failed, and before of one that was killed: they are what fills the volume.
rm -f /backups/*.part
trap 'rm -f /backups/*.part' EXIT

for member in mongodb-2 mongodb-1 mongodb-0; do
  host=$member.mongodb.gridmesh-servers:27017
  # A secondary, so that the primary keeps its time for the services; the last one that is named, if there is none.
  state=$(mongosh --quiet --norc "mongodb://$host/?directConnection=true" --eval 'print(db.hello().secondary)') || continue
  [ "$state" = true ] && break
done

name=$(date -u +%Y%m%dT%H%M%SZ)
has_readings=$(HOST=$host mongosh --nodb --quiet --norc --eval '
  const {HOST, BACKUP_PASSWORD} = process.env
  const url = `mongodb://backup:${encodeURIComponent(BACKUP_PASSWORD)}@${HOST}/?authSource=admin&directConnection=true`
  const store = new Mongo(url).getDB("gridmesh")
  let found = false
  for (const name of ["readings_log", "meter_history", "vehicle_history", "storage_history"]) {
    if (store.getCollection(name).findOne({}, {_id: 1}) !== null) found = true
  }
  print(found)')
if [ "$has_readings" != true ]; then
  # Somebody has lost them: what is saved stays, and the job fails so that it is noticed.
  [ -z "$(good)" ] || { echo "the store has no readings, and archives have: nothing is saved, nothing removed"; exit 1; }
  name=$name.without-readings
fi

# Room for one that is half as large again as the newest. For this the oldest go, but two always stay.
newest=$(good | tail -n 1)
if [ -n "$newest" ]; then
  wanted_bytes=$(($(stat -c %s "$newest") * 3 / 2))
  while [ "$(df --output=avail -B 1 /backups | tail -n 1)" -lt "$wanted_bytes" ] && [ "$(good | wc -l)" -gt 2 ]; do
    rm -- "$(good | head -n 1)"
  done
fi

archive=/backups/$name.archive.gz
# Not as an argument, where every list of processes would show it.
printf 'password: "%s"\n' "$BACKUP_PASSWORD" >/tmp/mongodump.yaml
# The collections are read one after the other while they are written to; with the log of what happened meanwhile the
# restored ones are of one moment.
mongodump --config=/tmp/mongodump.yaml --host="$host" --username=backup --authenticationDatabase=admin \
  --oplog --gzip --archive="$archive.part"
# Whole or not there.
mv "$archive.part" "$archive"
good | head -n "-$KEPT_ARCHIVES" | xargs -r rm --
find /backups -name '*.without-readings.archive.gz' | sort | head -n -1 | xargs -r rm --
ls -l /backups
